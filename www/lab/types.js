/** The types of `lab/`. No module of the browser fetches this file; only types name it. */

/** @typedef {import("../engine/types.js").AdapterInfo} AdapterInfo */
/** @typedef {import("../engine/types.js").Candidates} Candidates */
/** @typedef {import("../engine/types.js").Corpus} Corpus */
/** @typedef {import("../engine/types.js").DeltaView} DeltaView */
/** @typedef {import("../engine/types.js").Footprint} Footprint */
/** @typedef {import("../engine/types.js").LayerDelta} LayerDelta */
/** @typedef {import("../engine/types.js").ModelInfo} ModelInfo */
/** @typedef {import("../engine/types.js").Progress} Progress */
/** @typedef {import("../engine/types.js").Step} Step */

/**
 * @typedef {object} Settings
 * @property {string} sample a sample's id, or "own" for the reader's text (which no link can carry)
 * @property {number} rank
 * @property {number} alpha
 * @property {number} learningRate
 * @property {number} steps
 * @property {"all-linear" | string[]} targets
 * @property {number} batchSize
 * @property {number} blockSize
 * @property {number} seed of the adapter's first values and of the training windows
 * @property {string} prompt
 * @property {number} temperature
 * @property {number} maxTokens
 * @property {number} textSeed of the sampling
 * @property {number} strength
 * @property {number} fullLearningRate of full fine-tuning, when it is compared with
 * @property {number} workers that share a step; 0: as many as the machine has cores but one
 * @property {boolean} fast the build with relaxed SIMD, where the browser has it
 * @property {import("../i18n/i18n.js").Language} lang in which the page speaks
 */

/** lora: adapters on a frozen base; full: all weights of the base. @typedef {"lora" | "full"} Method */
/** @template T @typedef {{ lora: T, full: T }} Both */

/** Losses in nats a token. @typedef {{ footprint: Footprint, heldOut: number, stories: number }} Measured stories: on texts that the base wrote, which shows what is forgotten */

/**
 * @typedef {object} Racer
 * @property {Measured} before training
 * @property {Measured} now its `stories` is measured only at the end
 * @property {number[]} seconds of each step, by the worker's clock
 */

/**
 * @typedef {object} Race
 * @property {"none" | "starting" | "training" | "judging" | "stopped" | "done"} phase judging: the loss on the stories is measured again
 * @property {Settings | undefined} settings of both
 * @property {string} text that both learn from
 * @property {number} step that both have taken
 * @property {Both<Racer> | undefined} racers once both are ready
 * @property {Curves} points
 * @property {boolean} judged whether what is forgotten was measured after the last step
 */

/** One entry for each step, null where nothing was measured. @typedef {Record<"loraLoss" | "loraHeldOut" | "fullLoss" | "fullHeldOut", (number | null)[]> & { step: number[] }} Curves */

/**
 * @typedef {{ type: "begun", settings: Settings, text: string }
 *   | { type: "ready", measured: Both<Measured> }
 *   | { type: "step", steps: Both<Step> }
 *   | { type: "judging" }
 *   | { type: "judged", measured: Both<Measured> }
 *   | { type: "ended" }} RaceEvent
 */

/** A text of the comparison. @typedef {"before" | "after"} Side */

/**
 * @typedef {object} Looks
 * @property {LayerDelta[]} layers what an adapter adds to each layer, when last measured
 * @property {Speaker | undefined} speaker whose that is, and after which step
 * @property {string} layer the one that is looked at closely, or ""
 * @property {DeltaView | undefined} delta of that layer
 * @property {Side} side the text that is read token by token
 * @property {{ key: string, candidates: Candidates, speaker: Speaker | undefined } | undefined} read for which text (key), and by which adapter
 * @property {number} place the token that is looked at; past the last one is what might come next
 */

/**
 * @typedef {{ type: "measured", speaker: Speaker, layers: LayerDelta[] }
 *   | { type: "inspected", layer: string }
 *   | { type: "delta", delta: DeltaView }
 *   | { type: "side", side: Side }
 *   | { type: "read", key: string, speaker: Speaker | undefined, candidates: Candidates, place: number }
 *   | { type: "place", place: number }} LookEvent
 */

/** Where on the page something went wrong, and so where it is shown. @typedef {"page" | "data" | "train" | "compare" | "proof" | "adapter" | "efficient" | "inside" | "tokens" | "further"} Place */
/** @typedef {{ place: Place, code: string, message: string }} Problem */
/** The curve: one entry for each step, null where a step did not evaluate. @typedef {{ step: number[], loss: (number | null)[], heldOut: (number | null)[] }} Points */

/**
 * @typedef {object} Run a training
 * @property {Settings} settings those it was begun with
 * @property {string} sample the id of the text that it trains on
 * @property {string} text what it trains on
 * @property {boolean} over whether the engine no longer has it, so that it cannot go on
 * @property {Corpus} corpus
 * @property {Points} points
 * @property {Step[]} log each step as the engine reported it
 * @property {number} step
 * @property {number} firstHeldOut
 * @property {number} heldOut the latest
 * @property {number} tokensPerSecond smoothed
 * @property {number} secondsPerStep smoothed, by the reader's clock
 */

/** Whose a text or a picture is, as it was then: an adapter at work or a kept one. @typedef {{ key: string, source: Adapter["source"] | "kept", name: string, step: number }} Speaker key: the same for the same adapter; name: of a kept one; step: of a training */
/** @typedef {{ prompt: string, text: string, writing: boolean, key: string, speaker: Speaker | undefined }} Writing a text of the model after a prompt, for which settings (key); without a speaker it is the base's */
/** @typedef {{ ids: number[], text: string }} Answer what the model finds likeliest, token by token */
/** @typedef {{ source: "trained" | "file" | "link", bytes: number, trainable: number, rank: number, number: number, step: number }} Adapter the one at work: trained, or brought in; number: how many there have been; step: of its training */
/** @typedef {{ id: string, name: string, sample: string, base: string, kept: number, bytes: number, trainable: number, rank: number }} Kept an adapter on the shelf; base: the digest of the base that it belongs to */
/** @typedef {{ key: string, values: Record<string, string> }} News something that has happened; each is a separate object, even if it says the same */
/** @typedef {{ text?: string, bits: number, numbers: number, room: number }} Link the adapter in use as text for a link; without text it is too large */

/**
 * @typedef {object} State
 * @property {"idle" | "loading" | "ready" | "starting" | "training" | "paused" | "done" | "broken"} phase
 * @property {{ action: string, brief: boolean } | undefined} busy the action that has the lab to itself; brief: it is over in a moment
 * @property {Progress | undefined} progress
 * @property {ModelInfo | undefined} info
 * @property {string} lanes the instruction set of the engine's build
 * @property {number} workers that share a step
 * @property {number} baseBytes of the base's weights as downloaded
 * @property {number} memory
 * @property {Settings} settings
 * @property {{ id: string, text: string, name: string } | undefined} corpus
 * @property {string} own the reader's own text
 * @property {Run | undefined} run
 * @property {Adapter | undefined} adapter
 * @property {number} adapters how many have been at work so far
 * @property {Writing} before
 * @property {Writing} after
 * @property {{ first: string, now: string, checks: number, checking: boolean }} digest
 * @property {{ base: Answer, off: Answer, on: Answer | undefined, speaker: Speaker | undefined } | undefined} answers to one prompt: of the base when loaded, with the adapter off now, and on; whose the last is
 * @property {{ items: Kept[], durable: boolean | undefined, using: string | undefined }} shelf using: the id of the kept adapter that speaks, undefined for the one at work; durable: undefined until it was opened
 * @property {Link | undefined} link
 * @property {string} layer the linear layer that the reader looks at
 * @property {Looks} looks into the engine
 * @property {Race} race LoRA against full fine-tuning
 * @property {Problem | undefined} problem
 * @property {{ key: string, values: Record<string, number> }} status what a screen reader is told of the lab's phase
 * @property {News[]} news what it is told of texts and the shelf, the latest last
 */

/**
 * @typedef {{ type: "busy", action: string, brief: boolean }
 *   | { type: "free" }
 *   | { type: "refused", action: string }
 *   | { type: "loading" }
 *   | { type: "progress", progress: Progress }
 *   | { type: "loaded", info: ModelInfo, lanes: string, workers: number, baseBytes: number }
 *   | { type: "reloaded", lanes: string, workers: number }
 *   | { type: "settings", settings: Partial<Settings> }
 *   | { type: "corpus", id: string, text: string, name: string }
 *   | { type: "starting" }
 *   | { type: "begun", settings: Settings, sample: string, text: string, corpus: Corpus, heldOut: number, adapter: AdapterInfo }
 *   | { type: "training" }
 *   | { type: "step", step: Step, seconds: number }
 *   | { type: "paused" }
 *   | { type: "finished" }
 *   | { type: "reset" }
 *   | { type: "stands", step: number }
 *   | { type: "lost", adapter: boolean, step?: number }
 *   | { type: "imported", source: "file" | "link", adapter: AdapterInfo, link?: Link }
 *   | { type: "shelved", items: Kept[], durable: boolean, news?: News }
 *   | { type: "used", id: string | undefined }
 *   | { type: "linked", link: Link }
 *   | { type: "writing", side: "before" | "after", key: string, prompt: string, speaker: Speaker | undefined }
 *   | { type: "text", side: "before" | "after", text: string }
 *   | { type: "written", side: "before" | "after", whole: boolean }
 *   | { type: "checking" }
 *   | { type: "digest", digest: string, memory: number, off: Answer, on: Answer | undefined, speaker: Speaker | undefined }
 *   | { type: "unchecked" }
 *   | { type: "looked", layer: string }
 *   | { type: "failed", problem: Problem }
 *   | { type: "dismissed" }
 *   | LookEvent
 *   | { type: "race", race: Race }} Event
 */

export {};
