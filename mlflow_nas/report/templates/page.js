"use strict";
// Values beside the point under the pointer, or that has the focus; the legend's buttons hide series.
const tip = document.getElementById("tip");
for (const point of document.querySelectorAll("[data-tip]")) {
  point.querySelector("title")?.remove();
  const show = () => {
    const at = point.getBoundingClientRect();
    tip.textContent = point.dataset.tip;
    tip.style.display = "block";
    const left = at.right + 12 + tip.offsetWidth > innerWidth ? at.left - tip.offsetWidth - 12 : at.right + 12;
    tip.style.left = `${Math.max(left, 4)}px`;
    tip.style.top = `${Math.max(Math.min(at.top, innerHeight - tip.offsetHeight - 4), 4)}px`;
  };
  const hide = () => { tip.style.display = "none"; };
  point.addEventListener("mouseenter", show);
  point.addEventListener("mouseleave", hide);
  point.parentElement.addEventListener("focus", show);
  point.parentElement.addEventListener("blur", hide);
}
for (const button of document.querySelectorAll(".legend button")) {
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") === "true";
    button.setAttribute("aria-pressed", String(!shown));
    const figure = button.closest("figure");
    for (const group of figure.querySelectorAll(`svg.chart [data-series="${button.dataset.series}"]`)) {
      group.classList.toggle("hidden", shown);
    }
  });
}
