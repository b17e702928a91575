// Answers a question of JSON with the page's own scripts:  node robot_page.mjs FOLDER QUESTION
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import vm from "node:vm";

const [folder, question] = process.argv.slice(2);
const given = JSON.parse(fs.readFileSync(0, "utf8"));
for (const name of ["arm", "world", "policy", "chunks", "unpack", "engine", "agents", "scene"]) {
  const file = path.join(folder, `${name}.js`);
  vm.runInThisContext(fs.readFileSync(file, "utf8"), { filename: file });
}
const page = (name) => vm.runInThisContext(name);
const scene = page("SCENE"), World = page("World");

async function world() {
  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "mujoco-"));
  const file = path.join(temporary, "mujoco.mjs");
  const [script, wasm] = await Promise.all(
    ["mujoco.js", "mujoco.wasm"].map((name) => page("unpacked")(page("ENGINE")[name])));
  fs.writeFileSync(file, script);
  const { default: load } = await import(file);
  fs.rmSync(temporary, { recursive: true });
  return new World(await load({ wasmBinary: wasm }), scene);
}

async function agent(name) {
  const { about, weights } = page("AGENTS");
  const numbers = new Float32Array((await page("unpacked")(weights)).buffer);
  return new (page("Agent"))(about[name], numbers);
}

function random(seed) {
  let state = seed;
  return () => { // mulberry32
    let x = (state = (state + 0x6d2b79f5) | 0);
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

const ANSWERS = {
  async follow({ angles, cube, actions }) {
    const w = await world();
    w.put(angles, cube);
    return actions.map((action) => {
      const success = w.step(action);
      return { success, qpos: Array.from(w.data.qpos), ctrl: Array.from(w.data.ctrl),
        obs: w.observe() };
    });
  },
  async reach({ cases }) {
    return cases.map(({ pos, quat, angles }) =>
      page("inverseKinematics")(scene.chain, pos, quat, angles));
  },
  async act({ name, obs, noise }) {
    const a = await agent(name);
    return obs.map((x, i) => a.act(x, noise[i]));
  },
  async chunks({ length, steps, ...how }) {
    let now = 0;
    const player = new (page("Chunks"))((t) => Array.from({ length }, (_, i) => [t, i]), how);
    return Array.from({ length: steps }, () => ({ ...player.step(() => now), now: now++ }));
  },
  // Episodes, or those that begin as `starts` say and draw their noise.
  async play({ name, episodes, starts = Array(episodes).fill(null), seed = 0, ...how }) {
    const w = await world(), a = await agent(name), rand = random(seed);
    return starts.map((start) => {
      start ? w.put(start.angles, start.cube) : w.reset(rand);
      let steps = 0, solved = false, looks = 0;
      const draw = () => start ? start.noise[looks++] : a.noise(a.about.candidates, rand);
      const player = new (page("Chunks"))((obs) => a.act(obs, draw()), how);
      for (; steps < scene.steps && !solved; steps++) {
        solved = w.step(player.step(() => w.observe()).action);
      }
      return { solved, steps, looks: player.looks };
    });
  },
};

const answer = await ANSWERS[question](given);
process.stdout.write(JSON.stringify({ answer }));
