"use strict";
// The arm's inverse kinematics, as OGBench does it: damped least squares on a chain of hinges.
// Quaternions are [w, x, y, z]; a chain is {links: [{pos, quat, axis}], site: {pos, quat}}.

const add = (a, b) => a.map((x, i) => x + b[i]);
const minus = (a, b) => a.map((x, i) => x - b[i]);
const times = (a, s) => a.map((x) => x * s);
const norm = (a) => Math.hypot(...a);
const clip = (x, low, high) => Math.min(Math.max(x, low), high);
const cross = ([a, b, c], [x, y, z]) => [b * z - c * y, c * x - a * z, a * y - b * x];
const inverse = ([w, x, y, z]) => [w, -x, -y, -z];
const turn = (axis, angle) => [Math.cos(angle / 2), ...times(axis, Math.sin(angle / 2))];

function product([w, x, y, z], [a, b, c, d]) {
  return [
    w * a - x * b - y * c - z * d,
    w * b + x * a + y * d - z * c,
    w * c - x * d + y * a + z * b,
    w * d + x * c - y * b + z * a,
  ];
}

function rotate(q, v) {
  const t = times(cross(q.slice(1), v), 2);
  return add(add(v, times(t, q[0])), cross(q.slice(1), t));
}

// The rotation vector of a quaternion, by the shorter way round.
function rotation([w, ...axis]) {
  const sine = norm(axis);
  let angle = 2 * Math.atan2(sine, w);
  if (angle > Math.PI) angle -= 2 * Math.PI;
  return sine > 1e-15 ? times(axis, angle / sine) : [0, 0, 0];
}

// Where each joint and the site are: {joints: [{at, axis}], pos, quat}.
function forward(chain, angles) {
  let pos = [0, 0, 0], quat = [1, 0, 0, 0];
  const joints = [];
  const follow = (part) => {
    pos = add(pos, rotate(quat, part.pos));
    quat = product(quat, part.quat);
  };
  chain.links.forEach((link) => {
    follow(link);
    if (!link.axis) return;
    joints.push({ at: pos, axis: rotate(quat, link.axis) });
    quat = product(quat, turn(link.axis, angles[joints.length - 1]));
  });
  follow(chain.site);
  return { joints, pos, quat };
}

// x of A x = b, by elimination with the largest pivots.
function solved(A, b) {
  const rows = A.map((row, i) => [...row, b[i]]), n = rows.length;
  for (let i = 0; i < n; i++) {
    let best = i;
    for (let k = i; k < n; k++) if (Math.abs(rows[k][i]) > Math.abs(rows[best][i])) best = k;
    [rows[i], rows[best]] = [rows[best], rows[i]];
    for (let k = i + 1; k < n; k++) {
      const share = rows[k][i] / rows[i][i];
      for (let j = i; j <= n; j++) rows[k][j] -= share * rows[i][j];
    }
  }
  const x = new Array(n);
  for (let i = n - 1; i >= 0; i--) {
    x[i] = rows[i][n];
    for (let j = i + 1; j < n; j++) x[i] -= rows[i][j] * x[j];
    x[i] /= rows[i][i];
  }
  return x;
}

// Joint angles that bring the site to a pose, from those at hand: steps of
//   J' (J J' + damping)^-1 [position error, rotation error],  none larger than `largest`.
function inverseKinematics(chain, pos, quat, angles) {
  const { damping, largest, iterations, threshold } = chain;
  for (let i = 0; i < iterations; i++) {
    const site = forward(chain, angles);
    const off = minus(pos, site.pos), turned = rotation(product(quat, inverse(site.quat)));
    if (norm(off) <= threshold && norm(turned) <= threshold) break;
    const columns = site.joints.map(({ at, axis }) =>
      [...cross(axis, minus(site.pos, at)), ...axis]);
    const H = columns[0].map((_, r) => columns[0].map((_, c) =>
      columns.reduce((sum, k) => sum + k[r] * k[c], r === c ? damping : 0)));
    const x = solved(H, [...off, ...turned]);
    const update = columns.map((column) => column.reduce((sum, k, r) => sum + k * x[r], 0));
    const scale = Math.min(1, largest / Math.max(...update.map(Math.abs)));
    angles = add(angles, times(update, scale));
  }
  return angles;
}
