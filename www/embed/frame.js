/** For an iframe: the element with the attributes that the address names, `frame.html?view=compact&sample=robot&rank=4`. */

import { linked } from "../page/language.js";
import { LoraLabElement } from "../element.js";

const element = document.createElement("lora-lab");
for (const [name, value] of new URLSearchParams(location.search)) {
  if (LoraLabElement.observedAttributes.includes(name)) element.setAttribute(name, value);
}
document.documentElement.lang = element.lang || document.documentElement.lang;
document.querySelector("main")?.append(element);

// The page around it may change its language: changing the fragment tells this frame without reloading it.
addEventListener("hashchange", () => {
  const lang = linked();
  if (lang) document.documentElement.lang = element.lang = lang;
});
