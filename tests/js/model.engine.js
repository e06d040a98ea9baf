// The world of a script (model.js) over the engine itself: a worker thread with the small model, on the clock of the machine. What anybody
// says or is can be asked only when nothing is under way, and is compared with what a second lab makes of the same settings.
import { LoraLab, threadWorker } from "../../www/node.js";
import { atWork, keptName, speakerName } from "../../www/lab/slots.js";
import { numbers } from "./clock.js";
import { linkOf } from "./model.js";

const STORY = "A robot said that it was a good day, and that it would rain on the next one. ".repeat(6);
const TEXTS = { good: STORY, other: STORY.replaceAll("robot", "pirate"), short: "five words are not enough", empty: "  ", trap: STORY.replaceAll("rain", "snow"), poison: STORY.replaceAll("good", "bad") };

/** To train the same apart, and the files of an adapter that is imported. */
export const reference = () => LoraLab.load({ workers: 1 });

export class Engine {
  model = new URL("../../www/models/tiny/", import.meta.url).href;
  settings = { steps: 3, maxTokens: 3, batchSize: 1, blockSize: 16, rank: 1, workers: 1, targets: ["c_attn"] };
  entries = new Map();
  workersMade = [];
  channels = new Set();

  /** @param {import("./model.js").Play} play @param {LoraLab} apart @param {Record<string, { safetensors: Uint8Array, config: string }>} adapters by seed */
  constructor(play, apart, adapters) {
    this.play = play;
    this.apart = apart;
    this.adapters = adapters;
    this.random = numbers(play.script.delays + 1);
  }

  now() { return performance.now(); }
  wait(ms) { return new Promise((resolve) => setTimeout(resolve, ms)); }
  // An action may come in the same moment as the one before it, or long after.
  async pass(ms) {
    if (ms) await this.wait(ms);
  }
  /** Until nothing has happened for a while. */
  async quiet(play) {
    const { session } = play;
    const isStill = () => {
      const { busy, before, after, digest, phase } = session.state;
      return !play.pending.size && !busy && !before.writing && !after.writing && !digest.checking && phase !== "loading";
    };
    const end = performance.now() + 60_000;
    for (let still = 0, seen = play.history.length; still < 6; still++) {
      await this.wait(10);
      if (!isStill() || play.history.length !== seen) still = 0;
      seen = play.history.length;
      if (performance.now() > end) return play.fault("it does not come to rest");
    }
  }
  during(promise) { return promise; }
  within(work) { return work(); }

  load(options) {
    const createWorker = () => {
      const worker = threadWorker();
      const { terminate } = worker;
      worker.terminate = () => {
        worker.terminated = true;
        return terminate();
      };
      const post = worker.postMessage;
      worker.postMessage = (message, transfer) => {
        worker.asked ??= message.method;
        if (!worker.terminated) post(message, transfer);
      };
      this.workersMade.push(worker);
      return worker;
    };
    return LoraLab.load({ saveEvery: this.play.script.saveEvery, ...options, model: this.model, createWorker });
  }

  sample(id) { return id === "robot" ? TEXTS.good : TEXTS.other; }
  text(kind) { return TEXTS[kind]; }
  // Which prompt would make the engine trap? None; one that is too long by far is refused.
  prompt(kind) { return kind === "trap" ? "Ahoy there" : kind; }
  workers() { return 1; }
  layer(session) { return session.state.looks.layers[0]?.name ?? ""; }
  files(kind, seed) {
    const files = this.adapters[seed];
    return kind === "broken" ? { ...files, config: "not json" } : files;
  }
  link(play, kind) {
    return kind === "broken" ? "AAAA" : linkOf(play.session.lab.info.layers, this.adapters.digest, 3);
  }
  isDeadly() { return false; }

  kill(role) {
    const worker = this.workersMade.find(({ terminated, onerror, asked }) => !terminated && onerror && asked === { leader: "load", helper: "help" }[role]);
    worker?.onerror({ message: "killed" });
  }

  async store(play, isElsewhere = false) {
    const { entries } = this;
    const pause = () => this.wait(Math.floor(8 * this.random() ** 2));
    await pause();
    const set = async (id, change) => {
      await pause();
      if (play.storeFails && !isElsewhere) {
        play.storeFails = false;
        throw new DOMException("full", "QuotaExceededError");
      }
      const entry = change(entries.get(id));
      const known = play.kept.get(id);
      if (known) play.same(entry.safetensors, known.bytes, "the bytes of a kept adapter");
      entries.set(id, entry);
      play.kept.set(id, { bytes: entry.safetensors.slice(), name: entry.name });
    };
    return {
      entries: async () => [...entries],
      set: (id, entry) => set(id, () => entry),
      update: set,
      del: async (id) => {
        await pause();
        play.holds(play.discarding.has(id), `${id} was discarded, which nobody asked for`);
        entries.delete(id);
        play.kept.delete(id);
      },
    };
  }

  async atRest(play, state) {
    const { lab } = play.session;
    const { settings, run, adapter, before, after } = state;
    const there = await lab.adapters();
    const name = atWork(state);
    play.same(there.map(({ name }) => name).filter((name) => !name.startsWith("shelf ")), adapter ? [name] : [], "the adapter at work in the engine");
    const says = (adapter) => lab.generate(settings.prompt, { temperature: settings.temperature, maxTokens: settings.maxTokens, seed: settings.textSeed, adapter });
    if (!play.failed.has("compare")) {
      play.same(before.text, (await says(false)).text, "what the base wrote");
      if (after.text) play.same(after.text, (await says(speakerName(state))).text, "what the adapter wrote");
    }
    for (const [id, { bytes }] of play.kept) {
      if (there.some(({ name }) => name === keptName(id))) play.same((await lab.exportAdapter(keptName(id))).safetensors, bytes, "a kept adapter's numbers in the engine");
    }
    if (run && adapter) {
      const own = (await lab.exportAdapter(name)).safetensors;
      play.same(own, await this.#trained(run, adapter.step), `the numbers of the adapter at work after step ${adapter.step}`);
      play.same(there.find((one) => one.name === name)?.training, !run.over, "whether it is in training");
    } else if (adapter) {
      play.holds(!there.some(({ training }) => training), "something is trained without a run");
    }
  }

  /** The same training, apart. */
  async #trained({ settings, text }, steps) {
    const { apart } = this;
    const { rank, alpha, targets, seed, batchSize, blockSize, learningRate } = settings;
    await apart.attach({ rank, alpha, targets, seed });
    const training = apart.train({ text, steps: settings.steps, batchSize, blockSize, learningRate, seed });
    for (let step = 0; step < steps; step++) await training.next();
    await training.return();
    const { safetensors } = await apart.exportAdapter("default");
    await apart.endTraining();
    await apart.remove("default");
    return safetensors;
  }

  closed(play) {
    play.same(this.workersMade.filter(({ terminated }) => !terminated).length, 0, "workers after closing");
  }
}
