"use strict";
// OGBench's cube environment on MuJoCo's WebAssembly build: reset, step, observation and success.
// What OGBench sets comes in `scene`, read from its own environment when the page was made.

class World {
  constructor(mujoco, scene) {
    this.mujoco = mujoco;
    this.scene = scene;
    this.model = mujoco.MjModel.from_xml_string(scene.xml);
    this.data = new mujoco.MjData(this.model);
    this.success = false;
  }

  // Begin an episode: the hand anywhere above the table, the cube near its place, turned anyhow.
  reset(random = Math.random) {
    const { home, start, jitter, hand } = this.scene;
    const between = (low, high) => low + (high - low) * random();
    const pos = hand[0].map((low, i) => between(low, hand[1][i]));
    const angles = this.reach(pos, between(-Math.PI, Math.PI), home);
    const place = start.map((x, i) => (i < 2 ? x + between(-jitter, jitter) : x));
    this.put(angles, [...place, ...turn([0, 0, 1], between(0, 2 * Math.PI))]);
  }

  // At rest with these joint angles and this pose of the cube.
  put(angles, pose) {
    const { arm, cube, goal } = this.scene;
    this.mujoco.mj_resetData(this.model, this.data);
    angles.forEach((x, i) => { this.data.qpos[arm.qpos[i]] = x; });
    this.data.qpos.set(pose, cube.qpos);
    this.data.mocap_pos.set(goal);
    this.mujoco.mj_forward(this.model, this.data);
    this.success = false;
  }

  // One control period; without an action the motors keep their last targets.  -> whether it is
  // solved, judged as OGBench does: of the state before the step.
  step(action = null) {
    const before = this.success;
    if (action) this.control(action);
    for (let i = 0; i < this.scene.substeps; i++) this.mujoco.mj_step(this.model, this.data);
    this.mujoco.mj_rnePostConstraint(this.model, this.data);
    this.success = norm(minus(this.cube().slice(0, 3), this.scene.goal)) <= this.scene.near;
    return before;
  }

  // Motor targets of an action in [-1, 1]^5: moves of the hand, its turn, and of the gripper.
  control(action) {
    const { arm, gripper, range, workspace } = this.scene;
    const move = action.map((x, i) => x * range[i]);
    const pos = add(this.hand(), move.slice(0, 3)).map((x, i) =>
      clip(x, workspace[0][i], workspace[1][i]));
    const current = arm.qpos.map((at) => this.data.qpos[at]);
    const targets = this.reach(pos, this.yaw() + move[3], current);
    arm.motors.forEach((at, i) => { this.data.ctrl[at] = targets[i]; });
    this.data.ctrl[gripper.motor] = 255 * clip(this.opening() + move[4], 0, 1);
  }

  // Joint angles with the fingertips there, pointing down, turned by yaw.
  reach(pos, yaw, angles) {
    const { chain, mount } = this.scene;
    const quat = product(turn([0, 0, 1], yaw), [0, 1, 0, 0]);
    const wrist = add(pos, rotate(quat, mount.pos));
    return inverseKinematics(chain, wrist, product(quat, mount.quat), angles);
  }

  hand() {
    const at = 3 * this.scene.gripper.site;
    return Array.from(this.data.site_xpos.subarray(at, at + 3));
  }

  yaw() {
    const at = 9 * this.scene.gripper.site, matrix = this.data.site_xmat;
    return Math.atan2(matrix[at + 3], matrix[at]);
  }

  opening() {
    return clip(this.data.qpos[this.scene.gripper.qpos] / 0.8, 0, 1); // 0.8 rad is closed
  }

  // Place and quaternion of the cube.
  cube() {
    const at = this.scene.cube.qpos;
    return Array.from(this.data.qpos.subarray(at, at + 7));
  }

  // What the policy sees: 28 numbers, scaled as OGBench scales them.
  observe() {
    const { arm, gripper, middle } = this.scene, { qpos, qvel, cfrc_ext } = this.data;
    const scaled = (pos) => times(minus(pos, middle), 10);
    const force = Array.from(cfrc_ext.subarray(6 * gripper.pad, 6 * gripper.pad + 6));
    const cube = this.cube(), [w, x, y, z] = cube.slice(3);
    const yaw = Math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z));
    return [
      ...arm.qpos.map((at) => qpos[at]), ...arm.dofs.map((at) => qvel[at]),
      ...scaled(this.hand()), Math.cos(this.yaw()), Math.sin(this.yaw()),
      3 * this.opening(), clip(norm(force) / 50, 0, 1),
      ...scaled(cube.slice(0, 3)), ...cube.slice(3), Math.cos(yaw), Math.sin(yaw),
    ];
  }

  // Give the cube this velocity [m/s] along the table.
  push(velocity) {
    velocity.forEach((v, i) => { this.data.qvel[this.scene.cube.dof + i] += v; });
  }
}
