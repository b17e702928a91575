"use strict";
// The page: settings, the clock, the strip of looks, and the scores.

const PERIOD = 50; // ms of a step in real time
const SHOVE = 0.9; // m/s that a button gives the cube
const CELL = 19; // pixels of a step on the strip, of which a third is for what is to come
const LABELS = {
  qc: "QC: best of N chunks",
  qc_fql: "QC-FQL: one chunk",
  mac: "MAC: best of N chunks",
  fql: "FQL: one chunk",
};
const PRESETS = [
  { name: "A look for 5 moves", agent: "qc", execute: 5,
    hint: "Push the cube as the hand comes down: until the next look, the hand goes to where the " +
      "cube was (yellow frame)." },
  { name: "A look for each move", agent: "qc", execute: 1,
    hint: "It still decides 5 moves but plays only the first, and decides anew. Often it hovers " +
      "beside the cube and never comes to the rest of its plan. A push, though, it sees at once." },
  { name: "A look for 10 moves", agent: "mac", execute: 10,
    hint: "Another agent, trained with longer chunks, so not only h differs: half a second " +
      "without a look. Push the cube in slow motion." },
  { name: "For 5, slow to think", agent: "qc", execute: 5, delay: 3,
    hint: "Thinking now takes as long as 3 moves, and the robot waits meanwhile: a pause for " +
      "every 5 moves." },
  { name: "For each, slow to think", agent: "qc", execute: 1, delay: 3,
    hint: "The same slow thinking, but before every move: it hardly gets anywhere." },
  { name: "Slow, thinks while it moves", agent: "mac", execute: 5, delay: 3, goesOn: true,
    hint: "The agent with chunks of 10, a look every 5 moves: what is left of one chunk is played while the " +
      "next is thought of. No pauses. To compare, untick it under Set it yourself." },
];

const $ = (id) => document.getElementById(id);
const style = getComputedStyle(document.documentElement);
const COLOURS = Object.fromEntries(["one", "two", "cube", "goal", "seen", "push", "still", "dim",
  "text"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
const rgba = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).concat(1);

class Page {
  constructor(world, agents) {
    Object.assign(this, { world, agents, scores: new Map(), paused: false, owed: 0, last: null });
    this.picture = new Picture($("scene"), world);
    this.colours = {
      sky: [0.125, 0.145, 0.18, 1], floor: [0.3, 0.33, 0.39, 1], shadow: [0.14, 0.155, 0.19, 1],
      arm: [0.72, 0.76, 0.82, 1], gripper: [0.42, 0.45, 0.52, 1], cube: rgba(COLOURS.cube),
      goal: rgba(COLOURS.goal), seen: rgba(COLOURS.seen),
    };
    this.controls();
    this.choose(PRESETS[0]);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.pause(true);
    requestAnimationFrame((now) => this.frame(now));
  }

  controls() {
    for (const [name, { about }] of Object.entries(this.agents)) {
      $("agent").add(new Option(`${LABELS[name]} of ${about.chunk}`, name));
    }
    PRESETS.forEach((preset) => {
      const button = document.createElement("button");
      button.textContent = preset.name;
      button.onclick = () => { this.guessed = true; this.choose(preset); };
      $("presets").querySelector("div").append(button);
    });
    $("agent").onchange = () => this.choose({ agent: $("agent").value });
    for (const id of ["execute", "candidates", "delay", "goesOn"]) {
      $(id).oninput = () => this.read();
    }
    $("gust").onchange = () => this.read();
    $("pause").onclick = () => this.pause(!this.paused);
    $("again").onclick = () => this.begin();
    $("limit").textContent = this.world.scene.steps;
    for (const button of document.querySelectorAll("[data-push]")) {
      button.onclick = () => this.push(times(button.dataset.push.split(",").map(Number), SHOVE));
    }
    const keys = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    $("scene").onkeydown = (event) => {
      if (!keys[event.key]) return;
      event.preventDefault();
      this.push(times(keys[event.key], SHOVE));
    };
    const table = (event) => {
      const { left, top, width, height } = $("scene").getBoundingClientRect();
      return this.picture.table(
        (2 * (event.clientX - left)) / width - 1, 1 - (2 * (event.clientY - top)) / height);
    };
    let from = null;
    $("scene").onpointerdown = (event) => {
      from = table(event);
      $("scene").setPointerCapture(event.pointerId);
    };
    $("scene").onpointerup = (event) => {
      const drag = from && minus(table(event), from), length = drag && norm(drag);
      if (length > 0.01) this.push(times(drag, Math.min(10, 1.5 / length)));
      from = null;
    };
  }

  // Take a preset, or an agent with its own settings.
  choose({ agent, execute, delay = 0, goesOn = false, hint = "" }) {
    const { about } = this.agents[agent];
    $("agent").value = agent;
    $("execute").max = about.chunk;
    $("execute").value = execute ?? about.execute;
    $("candidates").max = about.candidates > 1 ? 32 : 1;
    $("candidates").disabled = about.candidates === 1;
    $("candidates").value = about.candidates;
    $("delay").value = delay;
    $("goesOn").checked = goesOn;
    this.read(hint);
  }

  // Begin with what is set.
  read(hint = "") {
    const number = (id) => Number($(id).value);
    const agent = this.agents[$("agent").value];
    const [execute, delay, candidates] = ["execute", "delay", "candidates"].map(number);
    const can = delay > 0 && overlaps(agent.about.chunk, execute, delay);
    $("goesOn").disabled = !can;
    if (!can) $("goesOn").checked = false;
    this.set = { name: $("agent").value, agent, execute, delay, candidates,
      goesOn: $("goesOn").checked, gust: $("gust").checked };
    for (const id of ["execute", "delay", "candidates"]) {
      $(id).nextElementSibling.textContent = $(id).value;
    }
    const same = ({ name, execute: s, delay: d = 0, goesOn = false }) =>
      name === this.set.name && s === execute && d === delay && goesOn === this.set.goesOn;
    document.querySelectorAll("#presets button").forEach((button, i) =>
      button.setAttribute("aria-pressed", same({ ...PRESETS[i], name: PRESETS[i].agent })));
    const before = MEASURED.find(same), usual = candidates === agent.about.candidates;
    $("hint").textContent = before && usual && !this.set.gust && this.guessed
      ? `${hint} Beforehand it solved ${before.solved} of ${before.episodes}.` : hint;
    this.begin();
  }

  begin() {
    const { agent, candidates } = this.set;
    this.world.reset();
    this.player = new Chunks((obs) => agent.act(obs, agent.noise(candidates)), this.set);
    Object.assign(this, { past: [], seen: null, step: 0, over: 0, pushed: false,
      colourOf: new Map() });
    this.gust = this.set.gust ? 10 + Math.floor(40 * Math.random()) : -1;
    $("result").textContent = "";
    this.show();
    this.list();
  }

  pause(paused) {
    this.paused = paused;
    $("pause").textContent = paused ? "Go on" : "Pause";
  }

  push(velocity) {
    if (this.over) this.begin();
    this.world.push(velocity);
    this.pushed = true;
  }

  advance() {
    if (this.over) return --this.over || this.begin();
    if (this.step === this.gust) {
      const angle = 2 * Math.PI * Math.random();
      this.push([SHOVE * Math.cos(angle), SHOVE * Math.sin(angle)]);
    }
    const played = this.player.step(() => this.world.observe());
    if (played.look) this.seen = this.world.cube();
    if (!this.colourOf.has(played.chunk)) {
      this.colourOf.set(played.chunk, this.colourOf.size % 2 ? "two" : "one");
    }
    this.past.push({ ...played, push: this.pushed, colour: this.colourOf.get(played.chunk) });
    this.pushed = false;
    const solved = this.world.step(played.action);
    this.step++;
    if (solved || this.step === this.world.scene.steps) this.end(solved);
  }

  end(solved) {
    this.over = 20;
    const seconds = (this.step * PERIOD) / 1000, { looks } = this.player;
    $("result").textContent = solved ? `there: ${seconds.toFixed(1)} s, ${looks} looks`
      : `not there in ${seconds} s`;
    const score = this.score();
    score.episodes++;
    score.solved += solved;
    score.looks += looks;
    score.pushed += this.past.some((moment) => moment.push);
    this.list();
  }

  score() {
    const { name, execute, delay, candidates, goesOn } = this.set;
    const key = JSON.stringify([name, execute, delay, candidates, goesOn]);
    if (!this.scores.has(key)) {
      this.scores.set(key, { name, execute, candidates, episodes: 0, solved: 0, looks: 0, pushed: 0,
        thinks: delay ? `${delay} steps${goesOn ? ", goes on" : ""}` : "" });
    }
    return this.scores.get(key);
  }

  list() {
    const now = this.score(), body = document.querySelector("#scores tbody");
    const rows = [...this.scores.values()].filter((score) => score.episodes || score === now);
    body.replaceChildren(...rows.reverse().map((score) => {
      const { name, execute, candidates, thinks, episodes, solved, looks, pushed } = score;
      const row = document.createElement("tr");
      row.className = score === now ? "now" : "";
      const cells = [LABELS[name].split(":")[0], execute, candidates, thinks,
        episodes ? (looks / episodes).toFixed(0) : "", pushed || "", `${solved} of ${episodes}`];
      cells.forEach((text) => { row.insertCell().textContent = text; });
      return row;
    }));
  }

  frame(now) {
    const speed = Number($("speed").value), until = performance.now() + 25;
    if (!this.paused && this.last !== null) this.owed += Math.min(now - this.last, 250) * speed;
    this.last = now;
    while (this.owed >= PERIOD && performance.now() < until) {
      this.advance();
      this.owed -= PERIOD;
    }
    this.owed = Math.min(this.owed, PERIOD);
    this.show();
    requestAnimationFrame((later) => this.frame(later));
  }

  show() {
    const last = this.past.at(-1);
    const blind = last ? this.past.length - 1 - this.past.findLastIndex((x) => x.look) : 0;
    $("eye").className = last?.look ? "open" : "shut";
    $("words").textContent = !last ? "" : last.look ? "looks"
      : `${blind} step${blind > 1 ? "s" : ""} since the last look` +
        (last.action ? "" : ", thinking");
    const { world, seen } = this;
    const off = seen && norm(minus(seen.slice(0, 3), world.cube().slice(0, 3))) > 0.01;
    this.picture.draw(off ? seen : null, this.colours);
    this.strip();
  }

  // Past steps to the left of the line, what is decided to its right.
  strip() {
    const { execute, delay, goesOn } = this.set;
    const canvas = $("strip"), ratio = fit(canvas), pen = canvas.getContext("2d");
    const width = canvas.clientWidth, height = canvas.clientHeight;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const count = Math.floor(width / CELL), cell = width / count, ahead = Math.min(10, count / 3);
    const now = (count - Math.ceil(ahead)) * cell, size = cell - 3, top = 20;
    const high = height - top - 18;
    const triangle = (x, y, dy, fill) => {
      pen.fillStyle = fill;
      pen.beginPath();
      pen.moveTo(x - 5, y);
      pen.lineTo(x + 5, y);
      pen.lineTo(x, y + dy);
      pen.fill();
    };
    const past = this.past.slice(-Math.round(now / cell));
    past.forEach((moment, i) => {
      const x = now - (past.length - i) * cell, middle = x + size / 2;
      pen.fillStyle = COLOURS[moment.action ? moment.colour : "still"];
      if (moment.action) pen.fillRect(x, top, size, high);
      else for (let y = 0; y < high; y += 4) pen.fillRect(x, top + y, size, 1.5);
      if (moment.look) triangle(middle, top - 12, 9, COLOURS.seen);
      if (moment.push) triangle(middle, top + high + 12, -9, COLOURS.push);
    });
    const { chunk, next } = this.player, end = execute + (goesOn ? delay : 0);
    for (let i = next; chunk && i < chunk.length; i++) {
      const x = now + 3 + (i - next) * cell, thrown = i >= end;
      pen.strokeStyle = COLOURS[thrown ? "dim" : this.colourOf.get(chunk)];
      pen.lineWidth = 2;
      pen.setLineDash(thrown ? [2, 3] : []);
      pen.strokeRect(x + 1, top + 1, size - 2, high - 2);
    }
    pen.fillStyle = COLOURS.text;
    pen.fillRect(now - 1, 4, 2, top + high + 4);
    pen.font = "12px system-ui, sans-serif";
    pen.fillText("now", now + 5, 14);
  }
}

async function main() {
  const [script, wasm, weights] = await Promise.all(
    [ENGINE["mujoco.js"], ENGINE["mujoco.wasm"], AGENTS.weights].map(unpacked));
  const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const { default: load } = await import(address);
  const mujoco = await load({ wasmBinary: wasm, locateFile: (name) => name });
  const world = new World(mujoco, SCENE);
  const numbers = new Float32Array(weights.buffer);
  const agents = Object.fromEntries(
    Object.entries(AGENTS.about).map(([name, about]) => [name, new Agent(about, numbers)]));
  const page = new Page(world, agents);
  $("loading").remove();
  return page;
}

main().then((page) => { globalThis.page = page; }).catch((error) => {
  document.body.classList.add("failed");
  $("loading").textContent = `This page cannot run here: ${error.message ?? error}`;
  console.error(error);
});
