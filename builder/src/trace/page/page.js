"use strict";
// Paths and all else from the app are set as text, never as markup.
const rows = document.getElementById("rows");
const state = document.getElementById("state");
const byPath = new Map();
let next = 0;

function show(found, fresh) {
  const row = document.createElement("tr");
  const how = found.kinds.join(", ") + (found.new ? "" : " (used.list has it otherwise)");
  for (const text of [found.path, how, found.package, found.program, found.service, found.step]) {
    row.appendChild(document.createElement("td")).textContent = text ?? "";
  }
  row.classList.toggle("fresh", fresh);
  byPath.get(found.path)?.remove();
  byPath.set(found.path, row);
  rows.prepend(row);
}

document.getElementById("stop").addEventListener("click", () => fetch("/stop", { method: "POST" }));

async function look() {
  try {
    const answer = await fetch("/new.json?since=" + next);
    if (!answer.ok) throw new Error(answer.statusText);
    const told = await answer.json();
    // Another run has taken the place of the one that was shown.
    if (told.next < next) return location.reload();
    if (told.found.length > 0) {
      for (const row of rows.querySelectorAll(".fresh")) row.classList.remove("fresh");
      for (const found of told.found) show(found, next > 0);
    }
    next = told.next;
    state.textContent = `${told.new} new paths, ${told.otherwise} used otherwise; ` +
      `${told.used} used in this run, ${told.requests} requests`;
    document.body.classList.remove("over");
  } catch {
    state.textContent = "The app is stopped. used.list has what is below, unless the terminal says otherwise.";
    document.body.classList.add("over");
  }
  setTimeout(look, 1000);
}

look();
