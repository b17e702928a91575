"use strict";
// Sets the formulas of a page and judges its exercises: chunkrl/site/pages.py writes what it reads.
(() => {
  function formulas() {
    if (typeof katex === "undefined") return;
    for (const place of document.querySelectorAll(".math"))
      katex.render(place.textContent, place, {displayMode: place.classList.contains("block"), throwOnError: false});
  }

  // Whether `given` is `value` to one decimal or more and at least two significant digits.
  const rounded = (given, value) =>
    [1, 2, 3, 4, 5, 6].some((digits) => Number(given.toFixed(digits)) === given &&
      Math.abs(value) * 10 ** digits >= 10 && Math.abs(given - value) <= 0.5 * 10 ** -digits * (1 + 1e-9));

  const judges = {
    number({value, tolerance, unit, right, wrongs, wrong}, text) {
      const percent = text.trim().endsWith("%"), bare = text.replace(/[%\s]+$/, "").replace(",", ".");
      const given = Number(bare) / (percent ? 100 : 1);
      if (!bare.trim() || !Number.isFinite(given)) return [false, "The answer is one number, as 1.5 or 50%."];
      const same = Math.abs(given - value) <= tolerance || (tolerance >= 1e-6 && rounded(given, value));
      if (same) return [true, right];
      const near = wrongs.find(([meant]) => Math.abs(given - meant) <= Math.max(tolerance, 0.005 * Math.abs(meant)));
      return [false, near ? near[1] : `${Number(given.toPrecision(6))} ${unit}`.trim() + wrong];
    },
    choice: ({replies}, key) => replies[key] ?? [false, "Choose one."],
  };

  function exercise(section) {
    const judge = JSON.parse(section.dataset.judge);
    if (!judges[judge.kind]) return;
    const form = document.createElement("form"), reply = document.createElement("p");
    reply.setAttribute("role", "status");
    const name = section.id;
    if (judge.kind === "choice")
      for (const [key, text] of Object.entries(judge.options)) {
        const label = document.createElement("label"), input = document.createElement("input");
        Object.assign(input, {type: "radio", name, value: key});
        label.append(input, ` ${text}`);
        form.append(label);
      }
    else {
      const label = document.createElement("label"), input = document.createElement("input");
      Object.assign(input, {type: "text", name, inputMode: "decimal"});
      label.append(`answer${judge.unit ? ` [${judge.unit}]` : ""} = `, input);
      form.append(label);
    }
    const button = document.createElement("button");
    button.textContent = "Check";
    form.append(button);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const [passed, message] = judges[judge.kind](judge, new FormData(form).get(name) ?? "");
      reply.className = passed ? "right" : "wrong";
      reply.replaceChildren(Object.assign(document.createElement("b"), {textContent: passed ? "Right. " : "Not yet. "}), message);
    });
    section.prepend(form, reply);
  }

  document.addEventListener("DOMContentLoaded", () => {
    formulas();
    document.querySelectorAll(".exercise").forEach(exercise);
  });
})();
