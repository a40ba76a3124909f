"use strict";
// The page: choose a task, paste rows, see the answers.

const WITHOUT_MODEL = [
  { name: "properties", verb: "properties", title: "Properties of molecules", about: "Molecular weight, logP, QED and TPSA, computed by RDKit." },
  { name: "names", verb: "names", title: "IUPAC names of molecules", about: "Names that lead back to the same molecule." },
];
const WRITTEN_IN = { SMILES: "SMILES", AA: "Protein sequences", DNA: "DNA sequences" };
const EXAMPLE_NAMES = ["2-acetyloxybenzoic acid", "1,3,7-trimethylpurine-2,6-dione", "ethanol"];
const MORE = {
  SMILES: ["CC(=O)Oc1ccccc1C(=O)O", "Cn1cnc2c1c(=O)n(C)c(=O)n2C", "C1CC"],
};
const SHORT_UNIT = 12; // a unit of fewer characters goes into the head of its column
let tasks = [];
let shown = null;

const chosen = () => tasks[Number(byId("task").value)];
const kind = () => document.querySelector("input[name=kind]:checked").value;

async function start() {
  for (;;) {
    try {
      const [listed, info] = [await request("/tasks"), await request("/info")];
      fill(listed.tasks, info);
      return;
    } catch (error) {
      if (error.status === 401) {
        byId("about").textContent = "This service needs an API key.";
        byId("key-field").hidden = false;
        byId("run").textContent = "Continue";
        for (const id of ["task", "kinds", "rows-field"]) byId(id).closest(".field, fieldset").hidden = true;
        return;
      }
      await new Promise((wake) => setTimeout(wake, 700));
    }
  }
}

function fill(listed, info) {
  const size = info.parameters >= 1e6 ? `${(info.parameters / 1e6).toFixed(1)} M` : info.parameters.toLocaleString("en");
  byId("about").textContent = `${info.bundle || "A model"}: ${size} parameters on ${info.device.toUpperCase()}`;
  methods = info.explain;
  tasks = listed
    .filter((task) => task.verbs.includes("predict") || task.verbs.includes("generate"))
    .map((task) => ({ ...task, verb: task.verbs.includes("generate") ? "generate" : "predict" }));
  const own = element("optgroup");
  own.label = "Tasks of the model";
  const others = element("optgroup");
  others.label = "Without the model";
  tasks.forEach((task, place) => own.append(new Option(task.name.replaceAll("_", " "), place)));
  for (const one of WITHOUT_MODEL) {
    tasks.push({ ...one, columns: { smiles: "SMILES" }, drawn: ["smiles"], example: { smiles: MORE.SMILES[0] }, units: {}, verbs: [] });
    others.append(new Option(one.title, tasks.length - 1));
  }
  byId("task").replaceChildren(...(own.children.length ? [own] : []), others);
  for (const id of ["task", "kinds", "rows-field"]) byId(id).closest(".field, fieldset").hidden = false;
  byId("key-field").hidden = true;
  adapt();
}

// Shows the fields that the task needs.
function adapt() {
  const task = chosen();
  const needed = Object.keys(task.columns);
  const alphabets = Object.values(task.columns);
  byId("task-about").textContent = (task.about || "").replaceAll("`", "");
  byId("values-label").textContent = WRITTEN_IN[alphabets[0]] || needed[0] || "Values";
  const choices = Object.fromEntries([...document.querySelectorAll("input[name=kind]")].map((one) => [one.value, one]));
  choices.values.disabled = needed.length !== 1;
  choices.names.disabled = !(needed.length === 1 && alphabets[0] === "SMILES" && task.verb === "predict");
  if (choices[kind()].disabled) (choices.values.disabled ? choices.csv : choices.values).checked = true;
  const none = needed.length === 0;
  byId("kinds").hidden = none;
  byId("rows-field").hidden = none;
  byId("n-field").hidden = task.verb !== "generate";
  byId("n-label").textContent = none ? "Sequences" : "Sequences for each row";
  byId("n").value = none ? 8 : 1;
  byId("run").textContent = task.verb === "generate" ? "Generate" : task.verb === "predict" ? "Predict" : "Compute";
  describeRows();
}

function describeRows() {
  const names = Object.keys(chosen().columns);
  const csv = kind() === "csv";
  byId("rows-label").textContent = csv ? "Table with a header line" : kind() === "names" ? "One name per line" : "One per line";
  byId("rows-hint").textContent = csv ? `Columns: ${names.join(", ")}. Others stay in the answer.` : "";
}

function exampleText() {
  const task = chosen();
  const names = Object.keys(task.columns);
  if (kind() === "names") return EXAMPLE_NAMES.join("\n");
  const values = MORE[task.columns[names[0]]];
  if (kind() === "csv") {
    const lines = names.length === 1 && values ? values.map((one) => [one]) : [names.map((name) => (task.example || {})[name] ?? "")];
    return [names, ...lines].map(csvLine).join("\n");
  }
  return values ? values.join("\n") : String((task.example || {})[names[0]] ?? "");
}

function body() {
  const task = chosen();
  const text = byId("rows").value;
  const given = task.verbs.length ? { task: task.name } : {};
  if (task.verb === "generate") given.n = Number(byId("n").value) || 1;
  if (!Object.keys(task.columns).length) return given;
  if (kind() === "csv") return { ...given, csv: text.trim() + "\n" };
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  if (kind() === "names") return { ...given, data: lines.map((name) => ({ name })), names: "name" };
  return { ...given, data: lines };
}

async function run(event) {
  event.preventDefault();
  if (!byId("key-field").hidden) {
    sessionStorage.setItem("mammal-key", byId("key").value);
    await start();
    return;
  }
  stopExplaining();
  const button = byId("run");
  const title = button.textContent;
  button.disabled = true;
  button.textContent = "Working …";
  try {
    const answer = await request(`/${chosen().verb}`, body());
    show(answer, chosen());
    await draw(answer, chosen());
  } catch (error) {
    showProblem(error);
  } finally {
    button.disabled = false;
    button.textContent = title;
  }
}

function show(answer, task) {
  shown = answer;
  const rows = answer.rows.length;
  const good = rows - answer.rows.filter((row) => errorOf(row)).length;
  byId("summary").textContent = `${good} of ${rows} row${rows === 1 ? "" : "s"} answered`;
  const meanings = Object.entries(answer.meanings).filter(([, text]) => text.length >= SHORT_UNIT);
  const notes = [...meanings.map(([name, text]) => (text.startsWith(name) ? text : `${name}: ${text}`)), ...answer.notes];
  byId("notes").replaceChildren(...notes.map((note) => element("li", note)));
  byId("download").hidden = !rows;
  byId("table").replaceChildren(...(rows ? [tableOf(answer, task)] : []));
  byId("results").hidden = false;
  byId("summary").focus({ preventScroll: true });
  byId("results").scrollIntoView({ block: "nearest" });
}

const errorOf = (row) => row.error;

function tableOf(answer, task) {
  const drawn = drawnColumn(answer, task);
  const interval = answer.columns.includes("low") && answer.columns.includes("high");
  const hidden = new Set(["error", ...(interval ? ["low", "high"] : [])]);
  const columns = answer.columns.filter((name) => !hidden.has(name));
  const explains = canExplain(task) && task.verb === "predict";
  const given = new Set([...Object.keys(task.columns), "name"]);
  const table = element("table", null, "cards");
  const head = element("tr");
  if (drawn) head.append(element("th", "Structure"));
  for (const name of columns) head.append(element("th", titleOf(name, answer)));
  if (explains) head.append(element("th"));
  const thead = element("thead");
  thead.append(head);
  const bodyOf = element("tbody");
  answer.rows.forEach((row, place) => {
    const line = element("tr");
    if (drawn) {
      const cell = element("td", null, "drawing");
      cell.dataset.row = place;
      line.append(cell);
    }
    const failed = errorOf(row);
    for (const name of columns) {
      if (failed && (row[name] === null || row[name] === undefined)) continue;
      line.append(cellOf(name, row, answer, given, interval));
    }
    if (explains && !failed) line.append(explainCell(answer, task, place));
    if (failed) {
      const reason = element("td", failed, "reason");
      reason.dataset.label = "No answer";
      reason.colSpan = Math.max(1, columns.length + (drawn ? 1 : 0) + (explains ? 1 : 0) - line.children.length);
      line.append(reason);
    }
    bodyOf.append(line);
  });
  table.append(thead, bodyOf);
  const scroll = element("div", null, "scroll");
  scroll.append(table);
  return scroll;
}

function titleOf(name, answer) {
  const unit = name === "prediction" && answer.meanings[name];
  return unit && unit.length < SHORT_UNIT ? `${name} (${unit})` : name;
}

function cellOf(name, row, answer, given, interval) {
  const value = row[name];
  const number = typeof value === "number";
  const cell = element("td", number ? shortNumber(value) : value === null || value === undefined ? "" : String(value));
  cell.className = number ? "number" : "text";
  cell.dataset.label = titleOf(name, answer);
  if (name === "prediction") cell.classList.add("value");
  if (given.has(name) || name === "text" || name === "smiles_read") cell.classList.add("mono");
  if (name === "prediction" && interval && row.low !== null) {
    cell.append(element("small", `interval ${shortNumber(row.low)} to ${shortNumber(row.high)}`));
  }
  return cell;
}

function shortNumber(value) {
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return size >= 1000 ? value.toFixed(0) : size >= 0.001 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
}

function drawnColumn(answer, task) {
  return ["smiles_read", ...(task.drawn || [])].find((name) => answer.columns.includes(name));
}

async function draw(answer, task) {
  const column = drawnColumn(answer, task);
  const cells = [...document.querySelectorAll("td.drawing")];
  if (!column || !cells.length) return;
  for (let first = 0; first < cells.length; first += 50) {
    const part = cells.slice(first, first + 50);
    const smiles = part.map((cell) => String(answer.rows[Number(cell.dataset.row)][column] ?? "")).map((text) => text.slice(0, 500));
    const found = await request("/draw", { smiles });
    part.forEach((cell, place) => {
      if (!found.svg[place]) return;
      cell.replaceChildren(importedSvg(found.svg[place], `Structure of ${smiles[place]}`));
    });
  }
}

function showProblem(error) {
  shown = null;
  byId("summary").textContent = "No answer";
  byId("notes").replaceChildren();
  byId("download").hidden = true;
  const box = element("div", null, "problem");
  box.setAttribute("role", "alert");
  box.append(element("strong", error.message));
  if (error.hint) box.append(element("p", error.hint));
  byId("table").replaceChildren(box);
  byId("results").hidden = false;
  if (error.status === 401) {
    byId("key-field").hidden = false;
    byId("key").focus();
  }
}

function csvLine(cells) {
  const quoted = cells.map((cell) => {
    const text = cell === null || cell === undefined ? "" : String(cell);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  });
  return quoted.join(",");
}

function download() {
  const lines = [shown.columns, ...shown.rows.map((row) => shown.columns.map((name) => row[name]))].map(csvLine);
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
  link.download = `${chosen().name}.csv`;
  document.body.append(link);
  link.click();
  link.remove();
  URL.revokeObjectURL(link.href);
}

async function openFile(event) {
  const [file] = event.target.files;
  if (!file) return;
  const text = await file.text();
  const tabs = /\.tsv$/i.test(file.name);
  byId("rows").value = tabs ? text.trimEnd().split(/\r?\n/).map((line) => csvLine(line.split("\t"))).join("\n") : text;
  if (tabs || /\.csv$/i.test(file.name)) document.querySelector("input[name=kind][value=csv]").checked = true;
  describeRows();
}

byId("form").addEventListener("submit", run);
byId("task").addEventListener("change", adapt);
byId("kinds").addEventListener("change", describeRows);
byId("example").addEventListener("click", () => { byId("rows").value = exampleText(); });
byId("file").addEventListener("change", openFile);
byId("download").addEventListener("click", download);
start();
