"use strict";
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const config = {responsive: true, displaylogo: false, showSendToCloud: false};
  const specs = [...document.querySelectorAll("script[data-figure]")].map((block) => (
    {place: document.getElementById(block.dataset.figure), looks: JSON.parse(block.textContent)}));
  const draw = () => Promise.all(specs.map(({place, looks}) => {
    const look = looks[dark.matches ? "dark" : "light"];
    return Plotly.react(place, look.data, look.layout, config);
  })).then(() => { document.body.dataset.drawn = dark.matches ? "dark" : "light"; });
  dark.addEventListener("change", draw);
  draw();
})();
