export * from "./element/element.js";
