// The world of a script (model.js) over the double of the engine: what anybody says or is can be asked of the double at once.
import { LoraLab } from "../../www/lora-lab.js";
import { decodeAdapter } from "../../www/lab/adapter-link.js";
import { atWork, keptName } from "../../www/lab/slots.js";
import { speaker } from "../../www/lab/state.js";
import { Clock, numbers } from "./clock.js";
import { FakeLab, MODEL, POISON, TRAP, fakeEngine, told } from "./fake.js";
import { linkOf } from "./model.js";

// What the page fetches with the first that wants it is there from the start: a module's way from the disk is on no clock of ours.
await Promise.all([
  ...["adapters", "adapter-link", "shelf", "steps"].map((name) => import(`../../www/lab/${name}.js`)),
  ...["helpers", "leader", "restart"].map((name) => import(`../../www/engine/${name}.js`)),
]);

const PROBE = "Once upon a time";
/** Letters of an answer or a text: what is asked for more than that only takes time. */
const LONGEST = 5;
const TEXTS = { good: "a text that is long enough", other: "another text that is long enough", short: "too short", empty: "  ", trap: TRAP, poison: POISON };
/** Fewer letters are refused by the engine, as too few tokens are; the two words that make it trap are not. */
const SHORTEST = 12;

const bytes = (values) => [...values].join();
const LAYERS = new FakeLab("{}", Uint8Array.of(1)).info().layers;

/** The bytes of an adapter after some steps of a training, computed apart. */
const trained = (() => {
  const known = new Map();
  return ({ settings, text }, steps) => {
    const key = JSON.stringify([settings.rank, settings.seed, settings.batchSize, text, steps]);
    if (!known.has(key)) {
      const lab = new FakeLab("{}", MODEL.weights, "{}");
      lab.attach("a", { rank: settings.rank, seed: settings.seed });
      lab.beginTraining(text, { steps: settings.steps, batchSize: settings.batchSize, seed: settings.seed }, "a");
      for (let step = 0; step < steps; step++) {
        const sum = lab.gradientSum();
        lab.addGradients(0, settings.batchSize, sum);
        lab.update(sum);
      }
      known.set(key, lab.exportAdapter("a").safetensors);
    }
    return known.get(key);
  };
})();

export class Double {
  model = "http://double/model/";
  settings = { steps: 3, maxTokens: 4, batchSize: 1, blockSize: 8, rank: 1, workers: 1 };
  entries = new Map();
  /** Of the page's lab, and of those of races. */
  pages = [];
  races = [];

  constructor(play) {
    this.play = play;
    this.clock = new Clock(play.script.delays);
    this.random = numbers(play.script.delays + 1);
  }

  now() { return this.clock.now; }
  wait(ms) { return this.clock.wait(ms); }
  pass(ms) { return ms ? this.clock.run(this.clock.now + ms) : undefined; }
  quiet() { return this.clock.run(); }
  async during(promise) {
    await this.clock.run();
    return promise;
  }
  async within(work) {
    const { fetch } = globalThis;
    globalThis.fetch = async (url) => {
      await this.wait(Math.floor(20 * this.random()));
      return new Response(`what is at ${url}`);
    };
    try {
      await this.clock.within(work);
    } finally {
      globalThis.fetch = fetch;
    }
  }

  load(options) {
    const ofRace = options.full !== undefined;
    const { play } = this;
    const engine = async (settings, worker) => {
      await this.wait(Math.floor(30 * this.random() ** 2));
      class Lab extends FakeLab {
        constructor(...rest) {
          super(...rest);
          worker.lab = this;
        }
        beginTraining(text, ...rest) {
          if (text.length < SHORTEST && ![TRAP, POISON].includes(text)) throw Object.assign(new Error(`the text has ${text.length} tokens`), { code: "too-short" });
          return super.beginTraining(text, ...rest);
        }
        beginGeneration(prompt, options, ...rest) {
          return super.beginGeneration(prompt, { ...options, maxTokens: Math.min(LONGEST, options.maxTokens) }, ...rest);
        }
        update(sum) {
          if (!ofRace && !worker.terminated) {
            play.holds(play.closing || this.run?.adapter === atWork(play.session.state), () => `${this.run?.adapter} is trained`);
            play.holds(play.closing || play.session.state.phase === "training", () => `a step is computed while ${play.session.state.phase}`);
          }
          return super.update(sum);
        }
      }
      return { ...(await fakeEngine(settings)), Lab };
    };
    const { made, createWorker } = this.clock.workers(engine);
    (ofRace ? this.races : this.pages).push(made);
    return LoraLab.load({ saveEvery: play.script.saveEvery, ...options, model: MODEL, createWorker });
  }

  sample(id) { return `the text of the sample ${id}`; }
  text(kind) { return TEXTS[kind]; }
  prompt(kind) { return kind; }
  workers(count) { return count; }
  layer() { return LAYERS[0].name; }
  files(kind, seed) { return { safetensors: Uint8Array.of(3, seed, 0, 0, 0, 0), config: kind === "broken" ? "not json" : "{}" }; }
  link(play, kind) {
    if (kind === "broken") return "AAAA";
    const text = linkOf(LAYERS, "123", 3);
    const { safetensors } = decodeAdapter(text, { layers: LAYERS, digest: "123" });
    // As the double reads them.
    play.linked = safetensors.slice(0, 6);
    return text;
  }
  isDeadly(text) { return text === TRAP || text === POISON; }

  kill(role) {
    const wanted = this.pages.flat().filter((worker) => !worker.terminated && worker.onerror && worker.asked === { leader: "load", helper: "help" }[role]);
    wanted[0]?.die();
  }

  /** The shelf's store. Whatever is in it was kept, and is not changed but for its name. */
  async store(play, isElsewhere = false) {
    const { entries, random } = this;
    const pause = () => this.wait(Math.floor(8 * random() ** 2));
    await pause();
    const set = async (id, change) => {
      await pause();
      if (play.storeFails && !isElsewhere) {
        play.storeFails = false;
        throw new DOMException("full", "QuotaExceededError");
      }
      this.#put(play, id, change(entries.get(id)));
      await pause();
    };
    return {
      entries: async () => {
        await pause();
        return [...entries];
      },
      set: (id, entry) => set(id, () => entry),
      update: set,
      del: async (id) => {
        await pause();
        play.holds(play.discarding.has(id), `${id} was discarded, which nobody asked for`);
        entries.delete(id);
        if (play.kept.has(id)) play.discarded.set(id, play.kept.get(id).bytes);
        play.kept.delete(id);
      },
    };
  }

  #put(play, id, entry) {
    const known = play.kept.get(id);
    if (known) play.same(entry.safetensors, known.bytes, "the bytes of a kept adapter");
    else if (play.discarding.has(id)) play.fault(`${id} was discarded and came back`);
    else if (!play.closing) play.same(entry.safetensors, this.#bytesAtWork(play, play.session.state), "what is kept");
    play.holds(entry.name && entry.name === entry.name.trim(), () => `kept under the name ${JSON.stringify(entry.name)}`);
    this.entries.set(id, entry);
    play.kept.set(id, { bytes: entry.safetensors.slice(), name: entry.name });
  }

  #bytesAtWork(play, { adapter, shelf, run }) {
    return this.bytesOf(play, speaker({ adapter, run, shelf: { ...shelf, using: undefined } }));
  }

  /** The bytes of whoever is said to speak. */
  bytesOf(play, { key, step }) {
    const id = /^kept (.*)/.exec(key)?.[1];
    if (id) return play.kept.get(id)?.bytes ?? play.discarded.get(id);
    const made = play.made.get(Number(/^at work (\d+)/.exec(key)[1]));
    return made.bytes ?? trained(made, step);
  }

  says(play, prompt, length, whose, strength) {
    return told(prompt, length, whose && { safetensors: this.bytesOf(play, whose) }, strength);
  }
  /** By how much an adapter moves a letter: what the double gives as the norm of its only layer. */
  norm(play, whose) {
    const letter = told(" ", 1, { safetensors: this.bytesOf(play, whose) });
    return (letter.charCodeAt(0) - 32 + 95) % 95;
  }

  written(play, state, side) {
    const { key, text, speaker } = state[side];
    const [prompt, { maxTokens }, [, , strength]] = JSON.parse(key);
    play.same(text, this.says(play, prompt, maxTokens, speaker, strength), `what ${speaker ? `${speaker.key} after step ${speaker.step}` : "the base"} wrote`);
  }
  answered(play, { answers: { base, off, on, speaker } }) {
    const wrote = PROBE + this.says(play, PROBE, LONGEST);
    play.same([base.text, off.text], [wrote, wrote], "the base's answer");
    play.same(Boolean(on), Boolean(speaker), "an answer and whose it is");
    if (on) play.holds([0, 1].some((strength) => on.text === PROBE + this.says(play, PROBE, LONGEST, speaker, strength)), `the answer is not that of ${speaker.key} after step ${speaker.step}`);
  }
  measured(play, { looks: { layers, speaker } }) {
    play.same(layers.map(({ norm }) => norm), [this.norm(play, speaker)], `the layers of ${speaker.key} after step ${speaker.step}`);
  }
  magnified(play, state) {
    const { delta } = state.looks;
    const whose = speaker(state);
    if (delta && play.session.state.phase !== "training") play.same(delta.norm, this.norm(play, whose), `a layer of ${whose.key} after step ${whose.step}`);
  }
  read(play, state) {
    const { candidates, speaker, key } = state.looks.read;
    const [, prompt, text, , , strength] = JSON.parse(key);
    play.same(candidates.tokens.map(({ text }) => text).join(""), prompt + text, "the text that is read");
    const [{ base, adapter }] = candidates.positions;
    const by = speaker && strength ? this.norm(play, speaker) : 0;
    play.same(adapter?.[0].id, speaker && (base[0].id + by) % 256, "by whom the text is read");
  }

  atRest(play, state) {
    const leaders = this.pages.flat().filter(({ terminated, asked }) => !terminated && asked === "load");
    play.same(leaders.length, 1, "leaders at rest");
    const { lab } = leaders[0] ?? {};
    if (!lab) return;
    const { run, adapter, settings } = state;
    const right = adapter && this.#bytesAtWork(play, state);
    const [name, here] = [atWork(state), [...lab.all.keys()]];
    // Three deaths in a row may leave one unheard until the next comes.
    const deaths = this.pages[0].filter(({ asked }) => asked === "load").length - 1;
    const ofWork = here.filter((one) => !one.startsWith("shelf ") && (deaths < 3 || one === name));
    play.same(ofWork, adapter ? [name] : [], "the adapter at work in the engine");
    if (adapter && lab.all.has(name)) play.same(lab.exportAdapter(name).safetensors, right, "the numbers of the adapter at work");
    const open = run && !run.over && run.step < run.settings.steps;
    if (open) play.same([lab.run?.adapter, lab.run?.step], [name, run.step], "the engine's training");
    else play.holds(!lab.run || lab.run.step >= lab.run.steps || (deaths >= 3 && lab.run.adapter !== name), () => `the engine trains ${lab.run.adapter}, step ${lab.run.step}`);
    for (const name of here) {
      if (!name.startsWith("shelf ")) continue;
      const kept = [...play.kept].find(([id]) => keptName(id) === name);
      // What a death has kept from being dropped lies there unheard.
      play.holds(kept || deaths > 0, `the engine has ${name}`);
      if (kept) play.same(lab.exportAdapter(name).safetensors, kept[1].bytes, "a kept adapter's numbers in the engine");
    }
    if (!play.failed.has("proof") && state.answers?.on) {
      play.same(state.answers.on.text, PROBE + this.says(play, PROBE, LONGEST, speaker(state), settings.strength), "the adapter's answer at rest");
    }
    const { delta } = state.looks;
    if (delta && play.watching.deltas && !play.failed.has("inside")) play.same(delta.norm, this.norm(play, speaker(state)), "the layer that is looked at");
    play.same(this.races.flat().filter(({ terminated }) => !terminated).length, 0, "workers of races at rest");
  }

  closed(play) {
    play.same([...this.pages, ...this.races].flat().filter(({ terminated }) => !terminated).length, 0, "workers after closing");
    play.same(this.clock.channels.size, 0, "broadcast channels after closing");
  }
}
