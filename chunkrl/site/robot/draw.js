"use strict";
// Draws what the physics collides with: capsules, cylinders, boxes and convex hulls, by WebGL 2.

const VERTEX = `#version 300 es
uniform mat4 camera, pose;
uniform float flat_;
in vec3 corner;
out vec3 place;
void main() {
  place = (pose * vec4(corner, 1)).xyz;
  if (flat_ > 0.0) place = vec3(place.xy - vec2(0.25, 0.15) * place.z, flat_);  // a shadow
  gl_Position = camera * vec4(place, 1);
}`;
const FRAGMENT = `#version 300 es
precision highp float;
uniform vec4 colour;
uniform float flat_;
in vec3 place;
out vec4 shown;
void main() {
  vec3 normal = normalize(cross(dFdx(place), dFdy(place)));
  float lit = max(dot(normal, normalize(vec3(0.5, 0.35, 0.8))), 0.0);
  float light = flat_ > 0.0 ? 1.0 : 0.55 + 0.45 * lit;
  shown = vec4(colour.rgb * light * colour.a, colour.a);
}`;

// Triangles of the six kinds of body, as corners one after the other.
const quad = (a, b, c, d) => [...a, ...b, ...c, ...a, ...c, ...d];

function box([x, y, z]) {
  const at = (i, j, k) => [i * x, j * y, k * z], out = [];
  for (const s of [-1, 1]) {
    const side = (a, b) => [a * s, b]; // so that both sides are seen from outside
    for (const f of [(a, b) => at(s, a, b), (a, b) => at(b, s, a), (a, b) => at(a, b, s)]) {
      out.push(...quad(f(...side(-1, -1)), f(...side(1, -1)), f(...side(1, 1)), f(...side(-1, 1))));
    }
  }
  return out;
}

// A surface of revolution about z, from a profile of [radius, height].
function revolved(profile, sides = 32) {
  const at = ([r, h], i) => {
    const angle = (2 * Math.PI * i) / sides;
    return [r * Math.cos(angle), r * Math.sin(angle), h];
  };
  return profile.slice(1).flatMap((end, k) => Array.from({ length: sides }, (_, i) =>
    quad(at(profile[k], i), at(profile[k], i + 1), at(end, i + 1), at(end, i))).flat());
}

function capsule([radius, half], rings = 8) {
  const arc = Array.from({ length: rings + 1 }, (_, i) => (Math.PI / 2) * (i / rings));
  return revolved([
    ...arc.map((t) => [radius * Math.sin(t), -half - radius * Math.cos(t)]),
    ...arc.map((t) => [radius * Math.cos(t), half + radius * Math.sin(t)]),
  ]);
}

const cylinder = ([r, half]) => revolved([[0, -half], [r, -half], [r, half], [0, half]]);

function hull(model, mesh) {
  const vertex = model.mesh_vert.subarray(3 * model.mesh_vertadr[mesh]);
  const face = model.mesh_face.subarray(3 * model.mesh_faceadr[mesh]);
  return Array.from(face.subarray(0, 3 * model.mesh_facenum[mesh]))
    .flatMap((v) => Array.from(vertex.subarray(3 * v, 3 * v + 3)));
}

// Column by column, as WebGL wants it: from a place and MuJoCo's rows.
const pose = (p, m) => [m[0], m[3], m[6], 0, m[1], m[4], m[7], 0, m[2], m[5], m[8], 0, ...p, 1];

function posed([x, y, z, w, a, b, c]) {
  const axes = [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map((axis) => rotate([w, a, b, c], axis));
  return [...axes[0], 0, ...axes[1], 0, ...axes[2], 0, x, y, z, 1];
}

// Give a canvas the pixels that it has on the screen.  -> how many to a unit of its style
function fit(canvas) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return ratio;
}

class Picture {
  constructor(canvas, world) {
    const gl = (this.gl = canvas.getContext("webgl2", { antialias: true }));
    if (!gl) throw new Error("it draws with WebGL 2, which this browser does not offer.");
    Object.assign(this, { canvas, world });
    const program = (this.program = gl.createProgram());
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    this.at = (name) => gl.getUniformLocation(program, name);
    const { model, scene } = world;
    this.parts = [];
    for (let geom = 0; geom < model.ngeom; geom++) {
      const size = Array.from(model.geom_size.subarray(3 * geom, 3 * geom + 3));
      const body = model.geom_bodyid[geom], kind = model.geom_type[geom];
      if (body === 0 || !model.geom_contype[geom]) continue; // floor, walls and goal
      const shape = { 3: capsule, 5: cylinder, 6: box }[kind];
      const corners = shape ? shape(size) : hull(model, model.geom_dataid[geom]);
      const colour = body === scene.cube.body ? "cube"
        : body >= scene.gripper.body ? "gripper" : "arm";
      this.parts.push({ geom, colour, shape: this.stored(corners) });
    }
    const half = [0.02, 0.02, 0.02];
    this.cube = this.stored(box(half));
    this.edges = this.stored(this.frame(half[0]));
    this.base = this.stored(cylinder([0.075, 0.05]));
    this.floor = this.stored(box([0.6, 0.6, 0.01]));
    this.place = this.stored(box([0.04, 0.04, 0.0004]));
  }

  // The twelve edges of a cube, as thin boxes.
  frame(half) {
    const thick = 0.0012, out = [];
    for (const axis of [0, 1, 2]) for (const i of [-half, half]) for (const j of [-half, half]) {
      const size = [thick, thick, thick], shift = [i, i, i];
      size[axis] = half + thick;
      shift[axis] = 0;
      shift[(axis + 2) % 3] = j;
      box(size).forEach((x, k) => out.push(x + shift[k % 3]));
    }
    return out;
  }

  stored(corners) {
    const { gl } = this, array = gl.createVertexArray();
    gl.bindVertexArray(array);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(corners), gl.STATIC_DRAW);
    const corner = gl.getAttribLocation(this.program, "corner");
    gl.enableVertexAttribArray(corner);
    gl.vertexAttribPointer(corner, 3, gl.FLOAT, false, 0, 0);
    return { array, count: corners.length / 3 };
  }

  paint({ array, count }, where, colour, shadow = 0) {
    const { gl } = this;
    gl.uniformMatrix4fv(this.at("pose"), false, where);
    gl.uniform4fv(this.at("colour"), colour);
    gl.uniform1f(this.at("flat_"), shadow);
    gl.bindVertexArray(array);
    gl.drawArrays(gl.TRIANGLES, 0, count);
  }

  // The camera as rows [right, up, back] and where it stands.
  view() {
    const back = [0.62, 0.42, 0.52], aspect = this.canvas.width / this.canvas.height;
    const z = times(back, 1 / norm(back)), right = cross([0, 0, 1], z);
    const x = times(right, 1 / norm(right)), y = cross(z, x);
    const eye = add([0.38, 0, 0.17], times(z, 1.1));
    return { eye, x, y, z, aspect, zoom: Math.min(2.5, 2 * aspect) };
  }

  // Where on the table a point of the canvas is: [x, y]; u and v from -1 to 1, v upwards.
  table(u, v) {
    const { eye, x, y, z, aspect, zoom } = this.view();
    const ray = minus(add(times(x, (u * aspect) / zoom), times(y, v / zoom)), z);
    return add(eye, times(ray, (0.02 - eye[2]) / ray[2])).slice(0, 2);
  }

  // `seen`: the cube's pose at the last look, drawn as a frame; nothing where null.
  draw(seen, colours) {
    const { gl, canvas, world } = this, { data, scene } = world;
    fit(canvas);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(...colours.sky);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);

    const { eye, x, y, z, aspect, zoom } = this.view(), near = 0.1, far = 5;
    const depth = (far + near) / (near - far), shift = (2 * far * near) / (near - far);
    const moved = [x, y, z].map((axis) => -axis.reduce((sum, a, i) => sum + a * eye[i], 0));
    const camera = [0, 1, 2].flatMap((i) =>
      [(x[i] * zoom) / aspect, y[i] * zoom, z[i] * depth, -z[i]]);
    camera.push((moved[0] * zoom) / aspect, moved[1] * zoom, moved[2] * depth + shift, -moved[2]);
    gl.uniformMatrix4fv(this.at("camera"), false, camera);

    const still = [1, 0, 0, 0, 1, 0, 0, 0, 1];
    this.paint(this.floor, pose([0.3, 0, -0.01], still), colours.floor);
    this.paint(this.place, pose([scene.goal[0], scene.goal[1], 0.0004], still), colours.goal);
    const parts = this.parts.map(({ geom, colour, shape }) => ({
      shape, colour: colours[colour],
      where: pose(data.geom_xpos.subarray(3 * geom, 3 * geom + 3),
        data.geom_xmat.subarray(9 * geom, 9 * geom + 9)),
    }));
    parts.push({ shape: this.base, where: pose([0, 0, 0.05], still), colour: colours.arm });
    for (const { shape, where } of parts) this.paint(shape, where, colours.shadow, 0.001);
    for (const { shape, where, colour } of parts) this.paint(shape, where, colour);
    this.paint(this.edges, posed([...scene.goal, 1, 0, 0, 0]), colours.goal);
    if (seen) this.paint(this.edges, posed(seen), colours.seen);
  }
}
