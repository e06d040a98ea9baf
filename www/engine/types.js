/**
 * Types of what passes between page, worker and wasm; nothing here runs.
 * Names in options and results are camelCase for what PEFT and PyTorch call snake_case.
 */

/** @typedef {{ name: string, in: number, out: number }} LinearInfo a linear layer of the base, output head included */

/**
 * @typedef {object} ModelInfo
 * @property {string} architecture
 * @property {number} parameters all of the base, a tied head counted once
 * @property {number} vocabulary
 * @property {number} contextLength
 * @property {boolean} hasTokenizer
 * @property {number | null} endOfText
 * @property {number} blocks
 * @property {number} width
 * @property {number} heads
 * @property {LinearInfo[]} layers
 */

/**
 * @typedef {object} AttachOptions
 * @property {string} [name] "default" unless told otherwise
 * @property {number} [rank]
 * @property {number} [alpha]
 * @property {"rank" | "sqrt-rank" | "textbook"} [scaling] alpha / rank, alpha / √rank (rsLoRA) or alpha alone
 * @property {"all-linear" | string | string[]} [targets] PEFT's target_modules: a list, a regular expression or "all-linear"
 * @property {string | string[]} [exclude]
 * @property {Record<string, number>} [rankPattern]
 * @property {Record<string, number>} [alphaPattern]
 * @property {number[] | null} [layersToTransform]
 * @property {number} [dropout]
 * @property {number} [seed]
 */

/** @typedef {{ trainable: number, total: number, layers: (LinearInfo & { rank: number, parameters: number })[] }} Plan */

/** @typedef {{ name: string, active: boolean, training: boolean, trainable: number, bytes: number, rank: number, alpha: number, layers: number }} AdapterInfo training: whether the lab's training, under way or finished, is of this adapter */

/** @typedef {{ safetensors: Uint8Array, config: string }} AdapterFiles PEFT's adapter_model.safetensors and adapter_config.json */

/** @typedef {ArrayBuffer | ArrayBufferView | Blob} Bytes a file's contents, in any container; of a view, the bytes that it covers */

/** @typedef {Uint32Array | number[] | Uint8Array | Uint16Array | Int32Array | BigInt64Array | BigUint64Array} Ids tokens: whole numbers from 0 to 2³² − 1 */

/**
 * Who answers a request: the adapter of this name, whichever is active; true, the default, the active one if it is switched on;
 * false the base alone.
 * @typedef {string | boolean} Voice
 */

/**
 * @typedef {object} TrainOptions
 * @property {string} [adapter] which one learns, the active one unless it is named; not in full fine-tuning
 * @property {string} [text]
 * @property {Ids} [ids]
 * @property {number} [steps]
 * @property {number} [batchSize]
 * @property {number} [blockSize]
 * @property {number} [learningRate]
 * @property {number} [minLearningRateRatio]
 * @property {"cosine" | "constant"} [schedule]
 * @property {number} [warmupSteps]
 * @property {number} [weightDecay]
 * @property {number} [beta1]
 * @property {number} [beta2]
 * @property {number} [epsilon]
 * @property {number} [gradientClip] largest gradient norm; 0 switches clipping off
 * @property {number} [accumulation] batches whose gradients are averaged into one step
 * @property {number} [heldOut] share of the text that is never trained on
 * @property {number} [evaluateEvery] steps between two held-out losses; 0 for never
 * @property {number} [evaluationWindows]
 * @property {number} [seed]
 */

/** @typedef {{ tokens: number, trainTokens: number, heldOutTokens: number }} Corpus */

/** @typedef {{ adapter?: string, step: number, steps: number }} Resumed the adapter in training (none in full fine-tuning), steps done and steps in all */

/**
 * @typedef {object} Step
 * @property {number} step 1 for the first
 * @property {number} loss
 * @property {number} [heldOutLoss] on the steps that evaluate
 * @property {number} learningRate
 * @property {number} gradNorm
 * @property {number} tokens trained on in this step
 * @property {number} tokensPerSecond
 * @property {number} workers that took part in it
 * @property {boolean} done
 */

/**
 * @typedef {object} GenerateOptions
 * @property {number} [maxTokens]
 * @property {number} [temperature] 0 for greedy
 * @property {number} [topK] 0 for off
 * @property {number} [topP]
 * @property {number} [repetitionPenalty]
 * @property {number} [seed]
 * @property {Voice} [adapter] who writes
 * @property {boolean} [stopAtEnd] whether end-of-text ends the answer
 */

/**
 * The size of what an adapter adds to one layer: ΔW = s·A·B, without the strength.
 * @typedef {LinearInfo & { rank: number, norm: number, baseNorm: number }} LayerDelta ‖ΔW‖ and ‖W‖, Frobenius
 */

/**
 * @typedef {object} DeltaOptions
 * @property {number} [rows] cells of the map over the inputs, 48; never finer than ΔW itself
 * @property {number} [columns] and over the outputs
 */

/**
 * ΔW of one layer.
 * @typedef {object} DeltaView
 * @property {string} name
 * @property {number} in
 * @property {number} out
 * @property {number} rank
 * @property {number} norm
 * @property {Float32Array} singularValues computed from ΔW, descending: 2·rank of them, at least 16, at most min(in, out). Past the rank only rounding is left
 * @property {number} rows
 * @property {number} columns
 * @property {Float32Array} map (rows · columns) means over cells; a row is a stretch of inputs
 */

/** @typedef {{ id: number, text: string }} TokenText */
/** @typedef {TokenText & { p: number }} Candidate a token that might come next, and its probability */

/**
 * The tokens of a text and, after each of them, what might come next.
 * @typedef {object} Candidates
 * @property {TokenText[]} tokens
 * @property {{ base: Candidate[], adapter: Candidate[] | null }[]} positions adapter: null if none acts
 */

/**
 * The memory that training takes for what it trains, and what the engine takes in all.
 * @typedef {object} Footprint
 * @property {number} trainable how many numbers are trained
 * @property {number} gradientBytes
 * @property {number} optimizerBytes AdamW's two moments
 * @property {number} wasmBytes as memory() says
 */

/** @typedef {{ text: string, ids: Uint32Array }} Generated what was added to the prompt */

/** @typedef {{ phase: "engine" | "weights", loaded: number, total: number | undefined }} Progress */

/**
 * @typedef {object} ModelOptions
 * @property {boolean} [splitQkv] query, key and value as three layers, as in the textbook, instead of the fused c_attn
 * @property {boolean} [full] the base's own weights train, and there are no adapters
 */

/** @typedef {{ config: string, weights: Bytes, tokenizer?: string }} ModelFiles */

/**
 * @typedef {object} LoadOptions
 * @property {string | URL | ModelFiles} [model] the URL of a folder with config.json, model.safetensors and, if there is one, tokenizer.json; or those files. Else the tiny model beside this module
 * @property {number} [workers] that compute gradients, at most; one for each core but one, 1 to 8, unless told otherwise. The adapter is the same bit for bit
 * @property {boolean} [fast] the build with relaxed SIMD, where there is any: faster, and not bit for bit the same on every kind of machine
 * @property {boolean} [splitQkv] query, key and value as three layers, as in the textbook, instead of the fused c_attn
 * @property {boolean} [full] full fine-tuning, to compare with: the base's own weights train, and there are no adapters
 * @property {(progress: Progress) => void} [onProgress]
 * @property {(error: import("./protocol.js").LabError, lost: Lost, training: { adapter?: string, step: number } | undefined) => void} [onRestart] the worker died and another was started in the last saved state, but for what is lost; training: the one that goes on, and after which step
 * @property {AbortSignal} [signal]
 * @property {() => import("./client.js").WorkerLike} [createWorker]
 * @property {number} [saveEvery] milliseconds of training between two automatic saves
 */

/** @typedef {{ fast: boolean, module?: WebAssembly.Module }} EngineOptions fast: the build with relaxed SIMD; module: that build, compiled already */

/**
 * What could not be restored when another worker took a dead one's place.
 * @typedef {object} Lost
 * @property {string} [run] whose training is lost: an adapter's name, or "" for that of all weights; absent if none is. The adapter is as it was after "step", unless it is lost as well
 * @property {number} [step] of a lost training: 0 if nothing was saved since it began
 * @property {string[]} adapters names of lost adapters
 */

/** @typedef {{ active: string | null, enabled: boolean, strength: number, merged: string | null }} Defaults what holds for requests that name no adapter, and which one is merged */

/**
 * What a lab is restored from in a new worker.
 * @typedef {object} Saved
 * @property {Uint8Array} adapters as saveAdapters() gives them
 * @property {string[]} names of the adapters
 * @property {Defaults} defaults
 * @property {Uint8Array | undefined} run the training under way, as saveState() gives it
 * @property {string} [trains] the adapter that it trains
 * @property {number} [step] the step after which the run was saved
 * @property {number} [at] the step after which the adapters were saved
 */

/** @typedef {{ run: number, adapter?: string, step: number, sequences: number, heldOutWindows: number }} Position where a training stands */

/**
 * The class that Rust exports (src/web/).
 * @typedef {object} WasmLab
 * @property {() => ModelInfo} info
 * @property {(config: Omit<AttachOptions, "name">) => Plan} plan
 * @property {(name: string, config: Omit<AttachOptions, "name">) => Plan} attach
 * @property {() => AdapterInfo[]} adapters
 * @property {(name: string) => void} select
 * @property {(on: boolean) => void} setEnabled
 * @property {(strength: number) => void} setStrength
 * @property {(from: string, to: string) => void} rename
 * @property {(name: string) => void} remove
 * @property {(name?: string) => void} merge
 * @property {() => void} unmerge
 * @property {() => boolean} isMerged
 * @property {(name?: string) => AdapterFiles} exportAdapter
 * @property {(name: string, safetensors: Uint8Array, config: string) => Plan} importAdapter
 * @property {(text: string | Uint32Array, config: Omit<TrainOptions, "text" | "ids" | "adapter">, name?: string) => Corpus} beginTraining
 * @property {() => void} endTraining
 * @property {() => Position} position
 * @property {() => GradientSum} gradientSum
 * @property {(from: number, to: number, sum: GradientSum) => void} addGradients
 * @property {(from: number, to: number) => GradientPart[]} gradients
 * @property {(sum: GradientSum) => Omit<Step, "tokensPerSecond" | "workers">} update consumes the sum
 * @property {(from: number, to: number) => Float64Array} heldOutLosses
 * @property {() => Float32Array<ArrayBuffer>} values
 * @property {(step: number, values: Float32Array) => void} follow
 * @property {() => number | undefined} evaluate
 * @property {() => boolean} isTraining
 * @property {() => Uint8Array} saveState
 * @property {(bytes: Uint8Array) => Resumed} resume
 * @property {() => Uint8Array} saveAdapters
 * @property {() => Defaults} defaults
 * @property {(adapters: Uint8Array, defaults: Defaults, run?: Uint8Array) => void} restore
 * @property {(name?: string) => void} reset
 * @property {(prompt: string | Uint32Array, options: Omit<GenerateOptions, "adapter">, adapter?: Voice) => void} beginGeneration
 * @property {() => { id: number | null, text: string, done: boolean }} nextToken
 * @property {(name?: string) => LayerDelta[]} deltas
 * @property {(layer: string, options: DeltaOptions, name?: string) => DeltaView} delta
 * @property {(prompt: string | Uint32Array, options: { count?: number }, adapter?: Voice) => Candidates} candidates
 * @property {(text: string | Uint32Array, adapter?: Voice) => number} loss
 * @property {(ids: Uint32Array, adapter?: Voice) => Float32Array} logits
 * @property {(text: string) => Uint32Array} encode
 * @property {(ids: Uint32Array) => string} decode
 * @property {() => string} baseDigest
 * @property {(name?: string) => Footprint} footprint
 * @property {() => number} memory
 * @property {() => void} free
 */

/** @typedef {{ loss: number, values: Float32Array }} GradientPart one sequence's share of a step's loss and gradient */

/** @typedef {{ add: (loss: number, values: Float32Array) => void }} GradientSum a step's gradients so far */

/**
 * @typedef {object} Engine the wasm module once it is instantiated
 * @property {new (config: string, weights: Uint8Array, tokenizer: string | undefined, options: ModelOptions) => WasmLab} Lab
 * @property {() => string} lanes
 * @property {() => WebAssembly.Module} module
 */

export {};
