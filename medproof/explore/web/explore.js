// What the pages do without, made easier: charts of their tables, a slider, live answers read out, copying.
"use strict";

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const drawn = new Map(); // the plots on the page, by their figure

// A table's first two columns as numbers; what was withheld leaves a gap.
function columns(table) {
  const rows = [...table.tBodies[0].rows];
  const value = (cell) => {
    const inner = cell.querySelector("time, data");
    if (!inner) return null;
    return inner.dateTime ? Date.parse(inner.dateTime) / 1000 : Number(inner.value);
  };
  return [0, 1].map((place) => rows.map((row) => value(row.cells[place])));
}

function draw(figure) {
  const table = figure.querySelector("table[data-chart]");
  if (!table || !window.uPlot || table.tBodies[0].rows.length < 2) return;
  drawn.get(figure)?.destroy();
  let plot = figure.querySelector(".plot");
  if (!plot) {
    plot = document.createElement("div");
    plot.className = "plot";
    plot.setAttribute("aria-hidden", "true"); // the table says the same
    figure.querySelector(".scroll").before(plot);
    figure.classList.add("drawn");
  }
  const [ink, grid] = [style("--soft"), style("--rule")];
  const [time, label] = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
  const font = `13px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: ink, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
  const counted = new Intl.NumberFormat(document.documentElement.lang);
  const day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);
  const line = {
    label,
    stroke: style("--strong"),
    fill: style("--tint"),
    width: 2,
    points: { show: false },
    value: (_, value) => (value === null || value === undefined ? "–" : counted.format(value)),
  };
  const width = Math.max(plot.clientWidth, 200);
  const options = {
    width,
    height: Math.min(Math.max(width * 0.5, 200), 320),
    tzDate: (seconds) => new Date(new Date(seconds * 1000).toLocaleString("en-US", { timeZone: "UTC" })),
    cursor: { y: false, drag: { setScale: false, x: false, y: false } },
    scales: { y: { range: (_, low, high) => [Math.min(low ?? 0, 0), Math.max(high ?? 1, 1) * 1.05] } },
    axes: [axis, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => counted.format(tick)) }],
    series: [{ label: time, value: (_, value) => (value === null ? "–" : day(value)) }, line],
  };
  drawn.set(figure, new uPlot(options, columns(table), plot));
}

function drawAll(root) {
  root.querySelectorAll("figure.chart").forEach(draw);
}

function redraw() {
  for (const [figure, plot] of drawn) {
    if (figure.isConnected) draw(figure);
    else {
      plot.destroy();
      drawn.delete(figure);
    }
  }
}

// The slider writes into the field for the block, which is what the form sends.
function slide(root) {
  root.querySelectorAll("[data-slider]").forEach((holder) => {
    const slider = holder.querySelector("input[type=range]");
    const number = document.getElementById(holder.dataset.slider);
    const day = document.getElementById(holder.dataset.clears);
    if (!holder.hidden) return;
    holder.hidden = false;
    slider.addEventListener("input", () => {
      number.value = slider.value;
      day.value = "";
      slider.setAttribute("aria-valuetext", `block ${slider.value}`);
    });
    number.addEventListener("input", () => {
      if (number.value) slider.value = number.value;
      day.value = "";
    });
    day.addEventListener("input", () => {
      number.value = "";
    });
  });
}

function offerCopies(root) {
  if (!navigator.clipboard) return;
  root.querySelectorAll("button[data-copy]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      announce(`${button.dataset.what} copied.`);
    });
  });
}

// What is ticked in a list stands beside its name, also where the list is folded.
function tellChosen(box) {
  const place = document.querySelector(`[data-chosen="${box.name}"]`);
  if (!place) return;
  const ticked = [...box.form.querySelectorAll(`input[name="${box.name}"]:checked`)];
  place.textContent = ticked.map((one) => one.closest("label").querySelector(".display").textContent).join(", ");
}

// On a narrow screen the answer is far below the question: its short form stays in sight, and leads to it.
function showReached() {
  const [place, said] = [document.getElementById("reached"), document.querySelector("[data-short]")];
  if (!place) return;
  place.hidden = !said;
  if (said) place.textContent = said.dataset.short;
}

function announce(text) {
  const place = document.getElementById("announcement");
  if (place.textContent !== text) place.textContent = text;
}

function prepare(root) {
  slide(root);
  offerCopies(root);
  drawAll(root);
}

prepare(document);
showReached();
document.fonts?.ready.then(redraw); // the labels were measured in another type
document.addEventListener("change", (event) => {
  if (event.target.type === "checkbox") tellChosen(event.target);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
let waiting;
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(redraw, 100);
});

// Fields that are left empty are no part of an address.
document.addEventListener("htmx:configRequest", (event) => {
  const sent = event.detail.formData;
  for (const name of new Set(sent.keys())) {
    const values = sent.getAll(name).filter((value) => value !== "");
    sent.delete(name);
    values.forEach((value) => sent.append(name, value));
  }
});
document.addEventListener("htmx:afterSwap", (event) => {
  redraw();
  prepare(event.detail.target);
  showReached();
  const said = document.querySelector("[data-announce]");
  if (said) announce(said.textContent.trim().replace(/\s+/g, " "));
});
