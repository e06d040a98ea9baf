import "./engine/worker-start.js";
