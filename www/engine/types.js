/**
 * The shapes that cross borders: types alone, nothing runs here.
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

/** @typedef {{ name: string, active: boolean, trainable: number, bytes: number, rank: number, alpha: number, layers: number }} AdapterInfo */

/** @typedef {{ safetensors: Uint8Array, config: string }} AdapterFiles PEFT's adapter_model.safetensors and adapter_config.json */

/**
 * @typedef {object} TrainOptions
 * @property {string} [text]
 * @property {Uint32Array | number[]} [ids]
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
 * @property {boolean} [adapter] false answers as the base does
 * @property {boolean} [stopAtEnd] whether end-of-text ends the answer
 */

/**
 * The size of what the active adapter adds to one layer: ΔW = s·A·B, without the strength.
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
 * @property {Float32Array} singularValues computed from ΔW, falling: 2·rank of them, at least 16, at most min(in, out). Past the rank only rounding is left
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
 * @property {number} trainable numbers that train
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

/** @typedef {{ config: string, weights: Uint8Array<ArrayBuffer>, tokenizer?: string }} ModelFiles */

/**
 * @typedef {object} LoadOptions
 * @property {string | URL | ModelFiles} [model] the URL of a folder with config.json, model.safetensors and, if there is one, tokenizer.json; or those files. Else the tiny model beside this module
 * @property {number} [workers] that compute gradients, at most; one for each core but one, 1 to 8, unless told otherwise. The adapter is the same bit for bit
 * @property {boolean} [fast] the build with relaxed SIMD, where there is any: faster, and not bit-reproducible from one kind of machine to another
 * @property {boolean} [splitQkv] query, key and value as three layers, as in the textbook, instead of the fused c_attn
 * @property {boolean} [full] full fine-tuning, to compare with: the base's own weights train, and there are no adapters
 * @property {(progress: Progress) => void} [onProgress]
 * @property {(error: import("./protocol.js").LabError) => void} [onRestart] the worker died and another was started in the last saved state
 * @property {AbortSignal} [signal]
 * @property {() => import("./client.js").WorkerLike} [createWorker]
 * @property {number} [saveEvery] milliseconds of training between two automatic saves
 */

/** @typedef {{ fast: boolean, module?: WebAssembly.Module }} EngineOptions fast: the build with relaxed SIMD; module: that build, compiled already */

/**
 * What a new worker needs to be where the dead one was.
 * @typedef {object} Saved
 * @property {({ name: string } & AdapterFiles)[]} adapters
 * @property {string | undefined} active
 * @property {boolean} merged
 * @property {Uint8Array | undefined} run the training under way, as saveState() gives it
 */

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
 * @property {() => void} merge
 * @property {() => void} unmerge
 * @property {() => boolean} isMerged
 * @property {(name?: string) => AdapterFiles} exportAdapter
 * @property {(name: string, safetensors: Uint8Array, config: string) => Plan} importAdapter
 * @property {(text: string | Uint32Array, config: Omit<TrainOptions, "text" | "ids">) => Corpus} beginTraining
 * @property {() => { run: number, step: number, sequences: number, heldOutWindows: number }} position
 * @property {() => GradientSum} gradientSum
 * @property {(from: number, to: number, sum: GradientSum) => void} addGradients
 * @property {(from: number, to: number) => GradientPart[]} gradients
 * @property {(sum: GradientSum) => Omit<Step, "tokensPerSecond" | "workers">} update uses the sum up
 * @property {(from: number, to: number) => Float64Array} heldOutLosses
 * @property {() => Float32Array<ArrayBuffer>} values
 * @property {(step: number, values: Float32Array) => void} follow
 * @property {() => number | undefined} evaluate
 * @property {() => boolean} isTraining
 * @property {() => Uint8Array} saveState
 * @property {(bytes: Uint8Array) => { step: number, steps: number }} resume
 * @property {() => void} reset
 * @property {(prompt: string | Uint32Array, options: GenerateOptions) => void} beginGeneration
 * @property {() => { id: number | null, text: string, done: boolean }} nextToken
 * @property {() => LayerDelta[]} deltas
 * @property {(name: string, options: DeltaOptions) => DeltaView} delta
 * @property {(prompt: string | Uint32Array, options: { count?: number }) => Candidates} candidates
 * @property {(text: string | Uint32Array, options: { adapter?: boolean }) => number} loss
 * @property {(ids: Uint32Array) => Float32Array} logits
 * @property {(text: string) => Uint32Array} encode
 * @property {(ids: Uint32Array) => string} decode
 * @property {() => string} baseDigest
 * @property {() => Footprint} footprint
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
