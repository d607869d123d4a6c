// Brings the parts of a page that are marked `data-live` up to date by asking for the page again.
// Without it the pages show the same, as of when they were loaded.
"use strict";

const EVERY = 5000; // milliseconds
const live = () => document.querySelectorAll("[data-live]");

const busy = (part) => {
  // What somebody is at stays as it is: a field, a button under the finger, a mark in the text.
  const at = document.activeElement;
  const selected = document.getSelection();
  return (
    (part.contains(at) && at !== part) ||
    (selected && !selected.isCollapsed && part.contains(selected.anchorNode))
  );
};

const replace = (part, fresh) => {
  if (part.innerHTML === fresh.innerHTML || busy(part)) return;
  const open = [...part.querySelectorAll("details[open][id]")].map((each) => each.id);
  part.replaceChildren(...fresh.childNodes);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
};

const refresh = async () => {
  try {
    const answer = await fetch(location.href, { cache: "no-store", redirect: "error" });
    if (answer.status === 401) {
      location.reload(); // the session is over: the page that says so
      return;
    }
    if (!answer.ok) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of live()) {
      const found = fresh.getElementById(part.id);
      if (found) replace(part, found);
    }
    document.body.classList.remove("stale");
  } catch {
    document.body.classList.add("stale");
  }
};

let timer = 0;
const schedule = () => {
  clearTimeout(timer);
  if (document.hidden || !live().length) return;
  timer = setTimeout(async () => {
    await refresh();
    schedule();
  }, EVERY);
};

document.addEventListener("visibilitychange", async () => {
  if (!document.hidden && live().length) await refresh();
  schedule();
});
schedule();
