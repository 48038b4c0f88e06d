"use strict";
// Everything can be read without this: it narrows lists, opens what a link leads to, and copies commands.

const texts = new WeakMap();

// What stands in a row, folded or not.
function textOf(row) {
  if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
  return texts.get(row);
}

function narrow(form) {
  const list = document.getElementById(form.dataset.list);
  const rows = [...list.querySelectorAll("[data-status]")];
  const groups = [...list.querySelectorAll(".group")];
  const wereOpen = new Map(groups.map((group) => [group, group.open]));
  const selects = [...form.querySelectorAll("select")];
  const [words, output] = [form.elements.words, form.querySelector("output")];
  let narrowed = false;
  const apply = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = selects.filter((select) => select.value !== "");
    const isNarrow = chosen.length > 0 || wanted.length > 0;
    let shown = 0;
    for (const row of rows) {
      const fits =
        chosen.every((select) => row.dataset[select.name].split("|").includes(select.value)) &&
        wanted.every((word) => textOf(row).includes(word));
      row.hidden = !fits;
      shown += fits;
    }
    for (const group of groups) {
      group.hidden = !group.querySelector("[data-status]:not([hidden])");
      if (group.tagName !== "DETAILS") continue;
      if (isNarrow && !narrowed) wereOpen.set(group, group.open);
      if (isNarrow) group.open = true;
      else if (narrowed) group.open = wereOpen.get(group);
    }
    narrowed = isNarrow;
    output.textContent = `${shown} of ${rows.length}`;
  };
  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  // The fields are empty only after this event.
  form.addEventListener("reset", () => queueMicrotask(() => showAll(form)));
  // A browser may bring back what was typed before.
  apply();
}

function showAll(form) {
  for (const field of form.querySelectorAll("select, input")) field.value = "";
  form.dispatchEvent(new Event("input"));
}

// Shows what the address leads to, though it be folded or narrowed away.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (const form of document.querySelectorAll("form.filter")) {
    const list = document.getElementById(form.dataset.list);
    if (list.contains(target) && target.closest("[hidden]")) showAll(form);
  }
  for (let element = target; element; element = element.parentElement) {
    if (element.tagName === "DETAILS") element.open = true;
  }
  target.scrollIntoView();
}

async function copy(button) {
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code);
    button.textContent = "Marked";
  }
}

document.querySelectorAll("form.filter").forEach(narrow);
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}
addEventListener("hashchange", reveal);
// A link to where one is already.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (link && link.hash === location.hash) reveal();
});
reveal();
