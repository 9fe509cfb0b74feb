"use strict";
// The server writes the page, escaped, and this puts a newer one in its place; what somebody is typing in stays.
let shown = null;

async function look() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (answer.status === 404) return location.assign("/");
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.querySelector("main").innerHTML;
    const main = document.querySelector("main");
    const isInUse = [...main.querySelectorAll("input:not([type=hidden])")].some((input) =>
      input === document.activeElement || input.value !== input.defaultValue || input.checked !== input.defaultChecked);
    if (shown !== null && next !== shown && !isInUse) {
      main.replaceWith(document.adoptNode(page.querySelector("main")));
      shown = next;
    }
    shown ??= next;
    document.body.classList.remove("over");
  } catch {
    document.body.classList.add("over");
  }
  setTimeout(look, 2000);
}

// An answer to a form has no page of its own to be fetched again.
if (document.querySelector("pre.why") === null) look();
