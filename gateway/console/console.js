// Brings the parts of a page that are marked `data-live` up to date by asking for the page again.
// Without it the pages show the same, as of when they were loaded.
"use strict";

const EVERY = 5000; // milliseconds
const live = () => document.querySelectorAll("[data-live]");

// Said aloud by screen readers, too.
const notice = document.createElement("p");
notice.className = "notice";
notice.setAttribute("role", "status");
document.body.append(notice);
const say = (text) => {
  if (notice.textContent !== text) notice.textContent = text;
};

// Where somebody is in a part, in words that find the same place in a newer one.
const place = (part) => {
  const at = document.activeElement;
  if (!part.contains(at) || at === part) return null;
  if (at.matches("details[id] > summary")) return `#${CSS.escape(at.parentElement.id)} > summary`;
  if (at.matches("a[href]")) return `a[href="${CSS.escape(at.getAttribute("href"))}"]`;
  return at.id ? `#${CSS.escape(at.id)}` : "";
};

// Whether the part is as it was asked for just now, or may not be touched.
const replace = (part, fresh) => {
  if (part.innerHTML === fresh.innerHTML) return true;
  const selected = document.getSelection();
  if (selected && !selected.isCollapsed && part.contains(selected.anchorNode)) return false;
  const at = place(part);
  if (at !== null && !(at && fresh.querySelectorAll(at).length === 1)) return false;
  const open = [...part.querySelectorAll("details[open][id]")].map((each) => each.id);
  part.replaceChildren(...fresh.childNodes);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (at) part.querySelector(at)?.focus({ preventScroll: true });
  return true;
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
    const held = [...live()].filter((part) => {
      const found = fresh.getElementById(part.id);
      return found && !replace(part, found);
    });
    say(held.length ? "What you are at is not brought up to date meanwhile." : "");
  } catch {
    say("Not up to date: the gateway doesn’t answer.");
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
