"use strict";
// When the policy looks, and which action of which chunk is played.

// Plays `execute` actions (s) of each chunk and looks again; what it decides arrives `delay` steps
// (d) later.  Until then the robot stands still or, with `goesOn`, continues the chunk before and
// joins the new one where that is by then: see `overlaps`.  The first chunk is there at once.
class Chunks {
  constructor(decide, { execute, delay = 0, goesOn = false }) {
    Object.assign(this, { decide, execute, delay, goesOn });
    this.chunk = null; // being played
    this.next = 0; // index in it of the action to play
    this.coming = null; // {chunk, left}: decided, there in `left` steps
    this.looks = 0;
  }

  // One step.  -> {look, chunk, index, action}: whether it looked, and which action of which chunk
  // is played; null where it stands still.
  step(observe) {
    this.arrive();
    const look = !this.coming && (!this.chunk || this.next >= this.execute);
    if (look) {
      this.looks++;
      this.coming = { chunk: this.decide(observe()), left: this.chunk ? this.delay : 0 };
      this.arrive();
    }
    const stands = this.coming && !this.goesOn, { chunk, next: index } = this;
    if (this.coming) this.coming.left--;
    if (stands) return { look, chunk, index, action: null };
    this.next++;
    return { look, chunk, index, action: chunk[index] };
  }

  arrive() {
    if (this.coming?.left !== 0) return;
    this.next = this.chunk && this.goesOn ? this.delay : 0;
    this.chunk = this.coming.chunk;
    this.coming = null;
  }
}

// Whether h actions last while the robot goes on with the chunk before: d <= s and s + d <= h.
function overlaps(chunk, execute, delay) {
  return delay <= execute && execute + delay <= chunk;
}
