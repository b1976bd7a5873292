// What pages do better with a script; all of them work without it.
"use strict";

document.documentElement.classList.add("scripted");

const announcement = () => document.getElementById("announcement");

// Copy buttons: <button data-copy="text" data-copied="Copied">. Hidden by the style where no script runs.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    // No clipboard (plain http, permission): select the text for the person's own copying.
    const text = document.getElementById(button.dataset.copyFrom);
    if (text) window.getSelection().selectAllChildren(text);
    return;
  }
  const before = button.textContent;
  button.textContent = button.dataset.copied;
  announcement().textContent = button.dataset.copied;
  setTimeout(() => { button.textContent = before; announcement().textContent = ""; }, 1500);
});

// Times: <time datetime="…"> is written in UTC; here it gets the reader's own zone, with UTC on hover.
const showTimes = (root) => {
  const format = new Intl.DateTimeFormat(document.documentElement.lang,
    { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.title = time.textContent.trim();
    time.textContent = format.format(at);
  }
};
showTimes(document);
document.addEventListener("htmx:afterSwap", (event) => showTimes(event.target));
