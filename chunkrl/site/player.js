"use strict";
// Shows explorers from their declarations: chunkrl/site/grid.py writes what this file reads.
const chunkrl = {packed: {}};

(() => {
  const STACKED = 620; // pixels: below it axes stand one under another
  const FRAME_MS = 350; // between two positions of a slider that plays
  const FONT = '"DejaVu Sans", Verdana, sans-serif';
  const GUESS = "#CC79A7";
  const LINE = 1.25; // height of a line of text, in letters
  const SIDES = {left: 60, right: 14, gap: 10}; // pixels around stacked axes

  const pen = document.createElement("canvas").getContext("2d");
  const widthOf = (text, size) => {
    pen.font = `${size}px ${FONT}`;
    return pen.measureText(text).width;
  };
  const escaped = (text) =>
    String(text).replace(/[&<>"]/g, (c) => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})[c]);
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes))
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  const unpacked = {};
  chunkrl.declaration = (name) =>
    (unpacked[name] ??= (async () => {
      const bytes = Uint8Array.from(atob(chunkrl.packed[name]), (c) => c.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      return new Response(stream).json();
    })());

  // What a cell holds at a position of the sliders.
  const at = (cell, position, shape) => {
    if (!cell || !cell.d) return cell?.v[0];
    let index = 0;
    for (const slider of cell.d) index = index * shape[slider] + position[slider];
    return cell.v[cell.n ? cell.n[index] : index];
  };
  const reader = (position, shape) => (mark) =>
    Object.fromEntries(Object.entries(mark).map(([key, cell]) => [key, at(cell, position, shape)]));

  const whole = (steps) => {
    let last = 0;
    return steps.map((step) => (step === null ? null : (last += step)));
  };

  // ---- marks ------------------------------------------------------------------------------------
  const pictures = new Map(); // of arrays: colours to an address
  function picture(mark) {
    const key = JSON.stringify([mark.n, mark.c, mark.v]);
    if (!pictures.has(key)) {
      const canvas = make("canvas", {width: mark.n, height: mark.v.length / mark.n});
      const ink = canvas.getContext("2d");
      mark.v.forEach((colour, i) => {
        ink.fillStyle = `#${mark.c[colour]}`;
        ink.fillRect(i % mark.n, canvas.height - 1 - Math.floor(i / mark.n), 1, 1);
      });
      pictures.set(key, canvas.toDataURL());
    }
    return pictures.get(key);
  }

  const digits = (x) => Math.round(x * 100) / 100;
  const traced = (xs, ys) => {
    let d = "", down = false;
    xs.forEach((x, i) => {
      if (x === null) down = false;
      else {
        d += `${down ? "L" : "M"}${digits(x)} ${digits(ys[i])}`;
        down = true;
      }
    });
    return d;
  };
  const painted = (style, clip) => {
    let text = ` fill="${style.fill ?? "none"}"`;
    if (style.stroke) text += ` stroke="${style.stroke}" stroke-width="${style.width}"`;
    if (style.dash) text += ` stroke-dasharray="${style.dash.join(" ")}"`;
    if (style.clip) text += ` clip-path="url(#${clip})"`;
    return text;
  };

  // Where the numbers of a mark lie in a box of the page.
  function places(mark, box, units) {
    const [xs, ys] = [whole(mark.x), whole(mark.y)];
    const [sx, sy] = mark.o ? [1, 1] : [box.w / box.was[2], box.h / box.was[3]];
    const left = box.x + (mark.o ? (mark.o[0] / 1000) * box.w : 0);
    const foot = box.y + box.h - (mark.o ? (mark.o[1] / 1000) * box.h : 0);
    return [
      xs.map((x) => (x === null ? null : left + (x / units) * sx)),
      ys.map((y) => (y === null ? null : foot - (y / units) * sy)),
    ];
  }

  // A text in as many lines as it needs to end before `edge`, from where it begins at `x`.
  function lines(mark, style, x, edge) {
    const room = (style.anchor === "middle" ? 2 * Math.min(x, edge - x) : style.anchor === "end" ? x : edge - x) - 2;
    if (style.angle || widthOf(mark.t, style.size) <= room) return [mark.t];
    const found = [""];
    for (const word of mark.t.split(" ")) {
      const longer = `${found.at(-1)} ${word}`.trim();
      if (widthOf(longer, style.size) <= room) found[found.length - 1] = longer;
      else found.push(word);
    }
    return found;
  }

  // A note at the right of its axes, where stacked axes leave no room: it goes under the picture.
  const aside = (mark, style) =>
    mark.k === "t" && mark.o[0] === 1000 && mark.x[0] > 0 && !style.anchor && !style.angle;

  function drawn(mark, box, declared, page) {
    const style = declared.styles[mark.s], units = declared.size[2];
    if (page.notes && aside(mark, style)) {
      page.notes.push(mark.t);
      return "";
    }
    const [xs, ys] = places(mark, box, units);
    if (mark.k === "p") return `<path d="${traced(xs, ys)}"${painted(style, box.clip)}/>`;
    if (mark.k === "m") {
      const [across, up] = style.shape;
      const d = xs.map((x, i) =>
        traced(
          across.map((v) => (v === null ? null : x + v / units)),
          up.map((v) => (v === null ? null : ys[i] - v / units)),
        ));
      return `<path d="${d.join("")}"${painted(style, box.clip)}/>`;
    }
    if (mark.k === "i") {
      const [x, y] = [Math.min(...xs), Math.min(...ys)];
      const [w, h] = [Math.abs(xs[1] - xs[0]), Math.abs(ys[1] - ys[0])];
      const turned = `translate(${xs[1] < xs[0] ? 2 * x + w : 0} ${ys[1] > ys[0] ? 2 * y + h : 0}) ` +
        `scale(${xs[1] < xs[0] ? -1 : 1} ${ys[1] > ys[0] ? -1 : 1})`;
      return `<image href="${picture(mark)}" x="${x}" y="${y}" width="${w}" height="${h}" ` +
        `preserveAspectRatio="none" transform="${turned}" clip-path="url(#${box.clip})" ` +
        'style="image-rendering:pixelated"/>';
    }
    const rows = lines(mark, style, xs[0], page.w);
    return rows.map((row, i) => {
      const y = ys[0] - (rows.length - 1 - i) * LINE * style.size;
      const turn = style.angle ? ` transform="rotate(${style.angle} ${digits(xs[0])} ${digits(y)})"` : "";
      return `<text x="${digits(xs[0])}" y="${digits(y)}" font-size="${style.size}" fill="${style.fill}"` +
        `${style.anchor ? ` text-anchor="${style.anchor}"` : ""}${style.bold ? ' font-weight="bold"' : ""}` +
        `${turn}>${escaped(row)}</text>`;
    }).join("");
  }

  // ---- where the axes stand -------------------------------------------------------------------
  // Pixels that texts and legends take above and below their axes.
  function outside(marks, declared, width) {
    const units = declared.size[2], found = {above: 8, below: 8};
    const inside = width - SIDES.left - SIDES.right;
    for (const mark of marks.filter((mark) => mark.o)) {
      const style = declared.styles[mark.s];
      if (aside(mark, style)) continue;
      const ys = whole(mark.y).filter((y) => y !== null);
      const x = SIDES.left + (mark.o[0] / 1000) * inside + mark.x[0] / units;
      const rows = mark.k === "t" ? lines(mark, style, x, width).length : 1;
      const size = mark.k === "t" ? style.size * (1 + (rows - 1) * LINE) : 6;
      if (mark.o[1] === 1000) found.above = Math.max(found.above, Math.max(...ys) / units + size);
      if (mark.o[1] === 0) found.below = Math.max(found.below, 6 - Math.min(...ys) / units);
    }
    return found;
  }

  function placed(declared, marks, width) {
    const [across, high] = declared.size;
    const boxes = declared.boxes.map((was) => ({was}));
    if (width >= STACKED) {
      for (const box of boxes) {
        const [x, y, w, h] = box.was;
        Object.assign(box, {x: (x * width) / across, y: high - y - h, w: (w * width) / across, h});
      }
      return {boxes, w: width, h: high};
    }
    const order = boxes.map((_, i) => i).sort((i, j) => {
      const [a, b] = [boxes[i].was, boxes[j].was];
      return Math.round(b[1] + b[3] - a[1] - a[3]) || a[0] - b[0];
    });
    let y = 0;
    for (const i of order) {
      const room = outside(marks[i], declared, width), box = boxes[i];
      y += room.above;
      Object.assign(box, {x: SIDES.left, y, w: width - SIDES.left - SIDES.right, h: box.was[3]});
      y += box.h + room.below + SIDES.gap;
    }
    return {boxes, w: width, h: y, notes: []};
  }

  // ---- the explorer ---------------------------------------------------------------------------
  let count = 0;
  class Explorer {
    constructor(root, declared, setting, guess) {
      Object.assign(this, {root, declared, guess, id: `e${count++}`, last: null});
      this.shape = declared.controls.map((control) => control.values.length);
      this.start = declared.start;
      this.position = [...declared.start];
      declared.controls.forEach((control, i) => {
        if (control.name in setting) this.position[i] = control.values.indexOf(setting[control.name]);
      });
      this.build();
      new ResizeObserver(() => {
        if (this.width !== this.room()) this.show();
      }).observe(this.frame);
      this.show();
    }

    build() {
      const {declared} = this;
      this.inputs = declared.controls.map((control, i) => this.control(control, i));
      this.frame = make("div", {class: "picture"});
      this.sentence = make("figcaption", {"aria-live": "polite"});
      this.extra = make("div", {class: "numbers"});
      const toggle = (text, name) =>
        make("button", {type: "button", "aria-pressed": "false", onclick: (event) => {
          this[name] = !this[name];
          event.currentTarget.setAttribute("aria-pressed", this[name]);
          this.show();
        }}, text);
      const buttons = make("div", {class: "buttons"});
      if (declared.motion !== null) {
        this.play = make("button", {type: "button", class: "play", onclick: () => this.plays()}, "Play");
        buttons.append(this.play);
      }
      for (const [name, position] of [["Start", this.start], ...Object.entries(declared.named)])
        buttons.append(make("button", {type: "button", onclick: () => this.move(position)}, name));
      const all = declared.controls.reduce((n, control) => n * control.all, 1);
      const kept = this.shape.reduce((n, length) => n * length, 1);
      const held = make("details", {class: "held"}, make("summary", {}, kept === all
        ? `All ${all.toLocaleString("en")} settings are on this page`
        : `${kept.toLocaleString("en")} of ${all.toLocaleString("en")} settings are on this page`));
      held.append(make("ul", {}, ...declared.controls.map((control) =>
        make("li", {}, `${control.label}: ${control.values.length === control.all ? "every one, " : ""}` +
          `${control.values.length > 12 && control.values.length === control.all
            ? `${control.values[0]} to ${control.values.at(-1)}` : control.values.join(", ")}`))));
      if (kept !== all) held.append(make("p", {}, "The notebook in Jupyter has the others."));
      this.root.replaceChildren(
        make("div", {class: "controls"}, ...this.inputs.map((input) => input.row)),
        buttons, this.frame, this.sentence,
        make("div", {class: "buttons"}, toggle("Show the numbers", "numbers"), toggle("Show these settings as code", "code")),
        this.extra, held,
      );
    }

    control(control, i) {
      const id = `${this.id}-${control.name}`;
      const label = make("label", {for: id}, control.label);
      let input, output = "";
      if (control.kind === "range") {
        output = make("output", {for: id});
        input = make("input", {type: "range", id, min: 0, max: control.values.length - 1, step: 1});
        input.addEventListener("input", () => this.set(i, Number(input.value)));
      } else {
        input = make("select", {id}, ...control.values.map((value) => make("option", {}, value)));
        input.addEventListener("change", () => this.set(i, input.selectedIndex));
      }
      input.name = control.name;
      const row = make("div", {class: "control"}, label, input, output);
      const show = (index) => {
        if (control.kind === "menu") input.selectedIndex = index;
        else {
          input.value = index;
          output.textContent = control.values[index];
          input.setAttribute("aria-valuetext", control.values[index]);
        }
      };
      return {row, show};
    }

    set(i, index) {
      this.move(this.position.map((old, j) => (j === i ? index : old)), true);
    }

    move(position, ghost = false) {
      this.position = [...position];
      this.show(ghost);
    }

    plays() {
      if (this.timer) {
        clearInterval(this.timer);
        this.timer = null;
      } else {
        const i = this.declared.motion, end = this.shape[i] - 1;
        if (this.position[i] === end) this.set(i, 0);
        this.timer = setInterval(() => {
          if (this.position[i] === end) this.plays();
          else this.set(i, this.position[i] + 1);
        }, FRAME_MS);
      }
      this.play.textContent = this.timer ? "Stop" : "Play";
    }

    get setting() {
      return Object.fromEntries(
        this.declared.controls.map((control, i) => [control.name, control.values[this.position[i]]]));
    }

    room() {
      return Math.min(this.frame.clientWidth, this.declared.size[0]);
    }

    show(ghost = false) {
      const {declared, position, shape} = this;
      if (this.room() <= 0) return; // out of sight, as in a fold; shown when that opens
      this.inputs.forEach((input, i) => input.show(position[i]));
      const read = reader(position, shape);
      const stacked = this.room() < STACKED;
      const layers = [declared.fixed.map((marks) => marks.map(reader([], []))),
        declared.frames.map((marks) => marks.map(read).filter((mark) => mark.k && (stacked || !mark.alone))),
        declared.marks.map((marks) => marks.map(read).filter((mark) => mark.k))];
      const frame = JSON.stringify(layers[1]);
      this.width = this.room();
      const page = placed(declared, declared.boxes.map((_, i) => layers.flatMap((layer) => layer[i])), this.width);
      page.boxes.forEach((box, i) => (box.clip = `${this.id}-${i}`));
      const painted = layers.map((layer) =>
        layer.map((marks, i) => marks.map((mark) => drawn(mark, page.boxes[i], declared, page)).join("")).join(""));
      const clips = page.boxes.map((box) => `<clipPath id="${box.clip}"><rect x="${box.x - 1}" y="${box.y - 1}" ` +
        `width="${box.w + 2}" height="${box.h + 2}"/></clipPath>`).join("");
      // The last picture stays faintly under the next one, where both have the same axes.
      const faint = ghost && this.last && this.last.frame === frame ? this.last.marks : "";
      const text = declared.alt.map((cell) => at(cell, position, shape) ?? "").join("");
      this.frame.innerHTML =
        `<svg role="img" viewBox="0 0 ${page.w} ${page.h}" width="${page.w}" height="${page.h}" ` +
        `font-family='${FONT}' stroke-linejoin="round"><title>${escaped(text)}</title><defs>${clips}</defs>` +
        `${painted[0]}${painted[1]}<g opacity="0.25">${faint}</g><g class="marks">${painted[2]}</g>${this.guessed(page)}</svg>` +
        (page.notes ?? []).map((note) => `<p class="note">${escaped(note)}</p>`).join("");
      this.last = {frame, marks: painted[2]};
      this.sentence.textContent = text;
      this.extra.innerHTML = (this.code ? this.asCode() : "") + (this.numbers ? this.asTable() : "");
    }

    // The reader's guess over the picture, at the start setting.
    guessed(page) {
      const {declared, position, start, guess} = this;
      const line = declared.predict?.line;
      if (guess === undefined || !line || position.some((index, i) => index !== start[i])) return "";
      const scale = (value) => (line.log ? Math.log(Math.max(value, 1e-9)) : value);
      const [low, high] = line.guesses.map(scale), box = page.boxes[line.axes];
      const share = (scale(guess) - low) / (high - low);
      const place = (line.places[0] + share * (line.places[1] - line.places[0])) / declared.size[2];
      const along = (place / (line.upright ? box.was[2] : box.was[3])) * (line.upright ? box.w : box.h);
      // Below a logarithmic axis there is no place: such a guess is drawn on the axis.
      const at = line.upright ? box.x + along : box.y + box.h - (line.log ? Math.max(along, 0) : along);
      if (line.upright ? at < box.x || at > box.x + box.w : at < box.y || at > box.y + box.h) return "";
      const d = line.upright ? `M${at} ${box.y}V${box.y + box.h}` : `M${box.x} ${at}H${box.x + box.w}`;
      const right = !line.upright || at > box.x + box.w - 90;
      const [x, y] = line.upright ? [at + (right ? -4 : 4), box.y + 12] : [box.x + box.w, at - 4];
      return `<path d="${d}" fill="none" stroke="${GUESS}" stroke-width="2.2" stroke-dasharray="4.4 4.4"/>` +
        `<text x="${x}" y="${y}" font-size="12.5" fill="${GUESS}"${right ? ' text-anchor="end"' : ""}>your guess</text>`;
    }

    asCode() {
      const inside = Object.entries(this.setting).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
      return `<pre>EXPLORERS["${this.declared.name}"].show(${escaped(inside.join(", "))})</pre>`;
    }

    asTable() {
      const columns = this.declared.table
        .map((cells) => cells.map((cell) => at(cell, this.position, this.shape)).filter((cell) => cell !== null && cell !== undefined))
        .filter((cells) => cells.length);
      const rows = columns[0].slice(1).map((_, i) =>
        `<tr>${columns.map((column) => `<td>${escaped(column[i + 1])}</td>`).join("")}</tr>`);
      return `<div class="scroll"><table><thead><tr>${columns.map((column) => `<th scope="col">${escaped(column[0])}</th>`).join("")}` +
        `</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
    }
  }

  // ---- the question put first -------------------------------------------------------------------
  function ask(root, declared) {
    const {question, unit, digits, least, truth} = declared.predict;
    const verdict = make("p", {role: "status"});
    const input = make("input", {type: "text", inputmode: "decimal", "aria-label": `My guess [${unit}]`, placeholder: "a number"});
    const figure = make("figure", {class: "explorer"});
    const reveal = (guess) => {
      for (const element of form.elements) element.disabled = true;
      root.append(figure);
      new Explorer(figure, declared, {}, guess);
    };
    const form = make("form", {onsubmit: (event) => {
      event.preventDefault();
      const guess = Number(input.value.replace(",", "."));
      if (!input.value.trim() || !Number.isFinite(guess)) {
        verdict.textContent = "A guess is one number, for example 2.5.";
        return;
      }
      if (least !== null && guess < least) {
        verdict.textContent = `This cannot be below ${least}.`;
        return;
      }
      const shown = Number(truth.toFixed(digits)), miss = guess - shown;
      const off = Math.abs(miss) < 0.5 * 10 ** -digits ? "right to the digits shown"
        : `too ${miss > 0 ? "high" : "low"} by ${Math.abs(miss).toFixed(digits)}`;
      verdict.textContent = `You said ${guess}; it is ${truth.toFixed(digits)} [${unit}]: ${off}.`;
      reveal(guess);
    }},
    make("label", {}, `My guess [${unit}] `, input), " ",
    make("button", {type: "submit"}, "Record my guess"), " ",
    make("button", {type: "button", onclick: () => reveal()}, "Show me without a guess"));
    root.replaceChildren(make("p", {}, make("b", {}, "Predict. "), question), form, verdict);
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const root of document.querySelectorAll("[data-explorer]"))
      chunkrl.declaration(root.dataset.explorer).then((declared) => {
        if ("predict" in root.dataset) ask(root, declared);
        else new Explorer(root, declared, JSON.parse(root.dataset.setting ?? "{}"));
      });
  });
})();
