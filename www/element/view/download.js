/** Files for the reader to save. */

import { h } from "./dom.js";

/** @param {Record<string, string | Uint8Array>} files by name */
export function download(files) {
  for (const [name, content] of Object.entries(files)) {
    const url = URL.createObjectURL(new Blob([/** @type {BlobPart} */ (content)]));
    h("a", { href: url, download: name }).click();
    // Some browsers read the blob only some time after the click.
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
}

/** PEFT's two files, under the names that it looks for. @param {import("../../engine/types.js").AdapterFiles | undefined} files */
export function downloadAdapter(files) {
  if (files) download({ "adapter_model.safetensors": files.safetensors, "adapter_config.json": files.config });
}
