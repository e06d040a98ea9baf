/** As much of Node's own modules as engine/node.js and engine/node-worker.js use; the whole of @types/node would be a dependency for it. */
declare module "node:fs/promises" {
  export function readFile(path: string | URL): Promise<Uint8Array>;
}
declare module "node:path" {
  export function join(...parts: string[]): string;
}
declare module "node:url" {
  export function fileURLToPath(url: string | URL): string;
}
declare module "node:worker_threads" {
  export interface MessagePort {
    postMessage(message: unknown, transfer?: unknown[]): void;
    on(event: string, listener: (value: any) => void): void;
  }
  export class Worker {
    constructor(script: string | URL);
    postMessage(message: unknown, transfer?: unknown[]): void;
    on(event: string, listener: (value: any) => void): void;
    terminate(): Promise<number>;
  }
  export const parentPort: MessagePort | null;
}
