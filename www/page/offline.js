/**
 * Registers the service worker that keeps this page for offline visits. `cargo xtask dist` adds this to its pages; `serve` does
 * not, since there a change has to be seen at once.
 */

// Not before the model is loaded: it would compete for the network, and the reader may not want a model at all. Not in a frame:
// browsers partition caches by the page around it, so everything would be stored again.
if (self === top) addEventListener("lora-ready", register, { once: true });

async function register() {
  try {
    await navigator.serviceWorker?.register(new URL("../sw.js", import.meta.url));
  } catch {
    // Service workers are refused in some modes; then the page works online only.
  }
}
