/**
 * Has the service worker keep this page for a visit without network. `cargo xtask dist` puts it into its pages; `serve` never
 * does, since there the next change has to be seen at once.
 */

// Once the model is there: until then the network has better things to do, and the reader may not want one at all. In a frame
// of somebody else's page everything would be kept once more for that page.
if (self === top) addEventListener("lora-ready", register, { once: true });

async function register() {
  try {
    await navigator.serviceWorker?.register(new URL("../sw.js", import.meta.url));
  } catch {
    // Where service workers are refused, in a sandboxed frame say, the page works as long as there is a network.
  }
}
