"use strict";
// The button "Explain" of an answered row: asks the service for one row, and shows its parts with their colours.

const PREFIX = "explained: "; // so that no column of the user has the name of one of ours
const METHODS = { integrated_gradients: "Integrated gradients", occlusion: "Occlusion" };
const BLOCK = 10; // residues or bases between two positions
const STRONGEST = 5; // parts that are listed as text
const LEAST = 0.02; // smaller shares of the largest attribution are not coloured
let methods = [];
let working = null; // the request that runs

const canExplain = (task) => (task.verbs || []).includes("explain");

// One request at a time: a new one, or new predictions, end the one before, and the service then stops its work.
function stopExplaining() {
  if (working) working.abort();
  working = null;
}

function explainCell(answer, task, place) {
  const cell = element("td", null, "explain");
  const button = element("button", "Explain", "quiet");
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-label", `Explain row ${place + 1}`);
  button.addEventListener("click", () => toggle(button, answer, task, place));
  cell.append(button);
  return cell;
}

function toggle(button, answer, task, place) {
  const line = button.closest("tr");
  const next = line.nextElementSibling;
  const open = next && next.classList.contains("explanation");
  stopExplaining();
  button.setAttribute("aria-expanded", String(!open));
  button.textContent = open ? "Explain" : "Hide";
  if (open) {
    next.remove();
    return;
  }
  const shownIn = element("tr", null, "explanation");
  const cell = element("td");
  cell.colSpan = line.children.length;
  const choices = element("div", null, "choices");
  const result = element("div", null, "result");
  result.setAttribute("role", "status");
  const again = () => explainRow(result, given(answer, task, place), choices);
  addChoice(choices, "method", "Method", methods.map((name) => [name, METHODS[name] || name]), again);
  addChoice(choices, "target", "Target", task.targets.map((name) => [name, name]), again);
  cell.append(choices, result);
  shownIn.append(cell);
  line.after(shownIn);
  again();
}

function addChoice(choices, name, title, options, changed) {
  const label = element("label", `${title} `);
  const select = element("select");
  select.name = name;
  for (const [value, text] of options) select.append(new Option(text, value));
  select.addEventListener("change", changed);
  label.append(select);
  label.hidden = options.length < 2;
  choices.append(label);
}

// The row as it was given, without the columns of the prediction. A name is explained by the structure it was read as.
function given(answer, task, place) {
  const row = answer.rows[place];
  const [first] = Object.keys(task.columns);
  if (row.smiles_read) return { task: task.name, data: [{ [first]: row.smiles_read }] };
  const added = new Set([...task.answers, "error"]);
  const own = Object.entries(row).filter(([name]) => !added.has(name));
  return { task: task.name, data: [Object.fromEntries(own)] };
}

async function explainRow(result, body, choices) {
  stopExplaining();
  const control = (working = new AbortController());
  result.replaceChildren(element("p", "Working …", "soft"));
  const chosenIn = (name) => choices.querySelector(`select[name=${name}]`);
  const asked = { ...body, method: chosenIn("method").value, prefix: PREFIX };
  if (chosenIn("target").options.length > 1) asked.target = chosenIn("target").value;
  try {
    const [row] = (await request("/explain", asked, control.signal)).rows;
    const reason = row[`${PREFIX}error`];
    result.replaceChildren(...(reason ? [problem(reason)] : await drawingsOf(row, control.signal)));
  } catch (error) {
    if (error.name === "AbortError") result.replaceChildren(element("p", "Stopped.", "soft"));
    else result.replaceChildren(problem(error.message, error.hint));
  } finally {
    if (working === control) working = null;
  }
}

function problem(what, hint) {
  const box = element("div", null, "problem");
  box.append(element("strong", what));
  if (hint) box.append(element("p", hint));
  return box;
}

// The explained values of a row: their text, parts, attributions and fragments.
function valuesOf(row) {
  const ends = Object.keys(row).filter((name) => name.startsWith(PREFIX) && name.endsWith("attribution"));
  return ends
    .map((name) => name.slice(0, -"attribution".length))
    .filter((start) => row[`${start}read`] !== null)
    .map((start) => ({
      column: start.slice(PREFIX.length).replace(/_$/, ""),
      read: row[`${start}read`],
      kind: row[`${start}part`],
      parts: JSON.parse(row[`${start}parts`]),
      attribution: row[`${start}attribution`],
      fragments: JSON.parse(row[`${start}fragments`] || "[]"),
    }));
}

async function drawingsOf(row, signal) {
  const values = valuesOf(row);
  const unit = row[`${PREFIX}explained`];
  const largest = Math.max(...values.flatMap((value) => value.attribution.map((one) => Math.abs(one ?? 0)))) || 1;
  const found = [factsOf(row, unit)];
  for (const value of values) {
    const figure = element("figure");
    const svg = value.kind === "atom" ? await drawnMolecule(value, largest, unit, signal) : null;
    if (svg) figure.append(svg);
    else figure.append(colouredText(value, largest), scaleOf(largest, unit));
    figure.append(element("figcaption", [value.column, value.read].filter(Boolean).join(": "), "mono"));
    found.push(figure);
    const words = strongest(value);
    if (words) found.push(element("p", words, "hint"));
  }
  return found;
}

function factsOf(row, unit) {
  const baseline = row[`${PREFIX}baseline`];
  const without = baseline === null || baseline === undefined ? "" : `; with masked values ${shortNumber(baseline)}`;
  return element("p", `${unit}: ${shortNumber(row[`${PREFIX}output`])}${without}. Orange raises it, blue lowers it.`);
}

async function drawnMolecule(value, largest, unit, signal) {
  const body = { smiles: [value.read], attribution: [value.attribution], largest, unit: unit.slice(0, 200) };
  const [text] = (await request("/draw", body, signal)).svg;
  return text && importedSvg(text, `Atoms of ${value.read}, coloured by their contribution`);
}

// A sequence in blocks of ten with positions, or the tokens of a text. No text becomes markup.
function colouredText(value, largest) {
  const box = element("div", null, "parts mono");
  const blocks = value.kind === "residue" || value.kind === "base";
  let block = box;
  value.parts.forEach((text, place) => {
    if (blocks && place % BLOCK === 0) {
      block = element("span", null, "block");
      block.append(element("small", String(place + 1)));
      box.append(block);
    }
    const number = value.attribution[place];
    const part = element("span", text, number === null ? "soft" : null);
    part.title = `${place + 1}: ${number === null ? "not read" : shortNumber(number)}`;
    const strength = Math.min(1, Math.abs(number ?? 0) / largest);
    if (strength > LEAST) {
      part.style.backgroundColor = `rgb(${number > 0 ? "var(--raises)" : "var(--lowers)"} / ${(0.85 * strength).toFixed(2)})`;
    }
    block.append(part);
  });
  return box;
}

function scaleOf(largest, unit) {
  const scale = element("div", null, "scale");
  const ends = [element("span", shortNumber(-largest)), element("span", null, "ramp"), element("span", `+${shortNumber(largest)}`)];
  scale.append(...ends, element("span", unit, "soft"));
  return scale;
}

// The parts with the largest contributions, for readers who don't see the colours.
function strongest(value) {
  const numbered = value.parts.map((text, place) => [`${text} at ${place + 1}`, value.attribution[place]]);
  const masked = value.fragments.map((one) => [one.text, one.effect]);
  const known = (masked.length ? masked : numbered).filter(([, number]) => number);
  const sorted = known.sort((one, other) => Math.abs(other[1]) - Math.abs(one[1])).slice(0, STRONGEST);
  const words = sorted.map(([text, number]) => `${text} (${number > 0 ? "+" : ""}${shortNumber(number)})`);
  return words.length ? `Strongest: ${words.join(", ")}` : "";
}
