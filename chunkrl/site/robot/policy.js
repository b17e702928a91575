"use strict";
// A trained agent's acting, from what `chunkrl export` describes: see its player.py.

const gelu = (x) => 0.5 * x * (1 + Math.tanh(0.7978845608 * (x + 0.044715 * x * x * x)));
const THEN = {
  gelu_tanh: (x) => x.map(gelu),
  relu: (x) => x.map((v) => Math.max(v, 0)),
  sigmoid: (x) => x.map((v) => 1 / (1 + Math.exp(-v))),
  tanh: (x) => x.map(Math.tanh),
  layer_norm: (x, scale, shift) => {
    const mean = x.reduce((a, b) => a + b, 0) / x.length;
    const variance = x.reduce((a, v) => a + (v - mean) ** 2, 0) / x.length;
    return x.map((v, i) => ((v - mean) / Math.sqrt(variance + 1e-6)) * scale[i] + shift[i]);
  },
};

class Agent {
  // `about`: agent.json with `arrays`, name -> [first, shape] in the Float32Array `weights`.
  constructor(about, weights) {
    this.about = about;
    this.arrays = {};
    for (const [name, [first, shape]] of Object.entries(about.arrays)) {
      const length = shape.reduce((a, b) => a * b, 1);
      this.arrays[name] = weights.subarray(first, first + length);
    }
  }

  // Standard normal numbers, one row for each proposal; rows are empty where the policy has none.
  noise(candidates, random = Math.random) {
    const normal = () =>
      Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const length = this.about.noise ? this.about.noise[1] : 0;
    return Array.from({ length: candidates }, () => Array.from({ length }, normal));
  }

  // The proposal that the critics like best, as a list of actions.
  act(observation, noise) {
    const [centre, scale] = this.about.normaliser.map((name) => this.arrays[name]);
    const seen = observation.map((x, i) => (x - centre[i]) / scale[i]);
    const proposals = noise.map((x) => this.propose(seen, x));
    let best = proposals[0];
    if (proposals.length > 1 && this.about.critics.length) {
      const values = proposals.map((x) => this.value(seen, x));
      best = proposals[values.indexOf(Math.max(...values))];
    }
    const flat = Array.from(best), size = this.about.action_dim;
    return Array.from({ length: this.about.chunk }, (_, i) => flat.slice(i * size, (i + 1) * size));
  }

  propose(seen, x) {
    const { policy } = this.about;
    if (policy.kind === "flow") {
      const times = this.arrays[policy.times], width = times.length / policy.steps;
      for (let i = 0; i < policy.steps; i++) {
        const flow = this.network(policy, seen, x, times.subarray(i * width, (i + 1) * width));
        x = x.map((v, k) => v + flow[k] / policy.steps);
      }
    } else {
      x = this.network(policy, seen, x);
    }
    return x.map((v) => clip(v, -1, 1));
  }

  // What the critics think of a chunk, together: the least, the mean, or mean - rho std.
  value(seen, x) {
    const values = this.about.critics.map((critic) => this.network(critic, seen, x)[0]);
    if (this.about.aggregate === "min") return Math.min(...values);
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    if (this.about.aggregate === "mean") return mean;
    const spread = values.reduce((a, v) => a + (v - mean) ** 2, 0) / values.length;
    return mean - this.about.aggregate * Math.sqrt(spread);
  }

  // x W + b of the inputs side by side, then what follows, for each layer.
  network(about, ...inputs) {
    let x = Float64Array.from(inputs.flatMap((part) => Array.from(part)));
    for (const layer of about.layers) {
      const weight = this.arrays[layer.weight], out = Float64Array.from(this.arrays[layer.bias]);
      const width = out.length;
      for (let i = 0, at = 0; i < x.length; i++) {
        const value = x[i];
        for (let k = 0; k < width; k++, at++) out[k] += value * weight[at];
      }
      x = layer.then.reduce((y, [then, ...names]) =>
        THEN[then](y, ...names.map((name) => this.arrays[name])), out);
    }
    return x;
  }
}
