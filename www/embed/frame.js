/** For an iframe: the element with the attributes that the address names, `frame.html?view=compact&sample=robot&rank=4`. */

import "../language.js";
import { LoraLabElement } from "../element.js";

const element = document.createElement("lora-lab");
for (const [name, value] of new URLSearchParams(location.search)) {
  if (LoraLabElement.observedAttributes.includes(name)) element.setAttribute(name, value);
}
document.documentElement.lang = element.lang || document.documentElement.lang;
document.querySelector("main")?.append(element);
