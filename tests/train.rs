//! The run: gradients, the optimizer, determinism, saving, divergence, and that it learns.

mod common;

use candle_core::{Device, Tensor, Var};
use common::*;
use lora_lab::Error;
use lora_lab::lab::{Input, Lab};
use lora_lab::lora::{Adapter, LoraConfig, Modules, replace_linear_with_lora};
use lora_lab::model::{CausalLm, Gpt2, Qkv};
use lora_lab::nn::Pass;
use lora_lab::rng::Rng;
use lora_lab::train::{AdamW, AdamWConfig, Step, TrainConfig, Trainer, mean_loss};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::{wasm_bindgen_test as test, wasm_bindgen_test_configure};
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test_configure!(run_in_dedicated_worker);

fn adapted(config: &LoraConfig) -> (Gpt2, Adapter) {
    let mut model = small_model(2);
    let adapter = replace_linear_with_lora(&mut model, config, &mut Rng::new(3)).unwrap();
    (model, adapter)
}

fn trainer(model: &Gpt2, adapter: &Adapter, config: TrainConfig) -> Trainer {
    Trainer::new(adapter.vars().cloned().collect(), small_text(600, 61, 4), config, model).unwrap()
}

/// Fills all B with noise, so that no gradient is zero.
fn stir(adapter: &Adapter) {
    let mut rng = Rng::new(8);
    for layer in adapter.layers().values() {
        let noise: Vec<f32> = (0..layer.b.elem_count()).map(|_| 0.1 * rng.normal()).collect();
        layer.b.set(&Tensor::from_vec(noise, layer.b.dims(), &Device::Cpu).unwrap()).unwrap();
    }
}

/// Compares gradients with central differences of `loss` at some places drawn at random.
fn assert_numeric(trainer: &Trainer, gradients: &[f32], places: usize, rng: &mut Rng, loss: impl Fn() -> f64) {
    let values = trainer.optimizer().values().unwrap();
    for _ in 0..places {
        let place = rng.below(values.len());
        let loss_at = |offset: f32| {
            let mut moved = values.clone();
            moved[place] += offset;
            trainer.optimizer().set_values(&moved).unwrap();
            loss()
        };
        let step = 1e-2;
        let numeric = (loss_at(step) - loss_at(-step)) / (2. * f64::from(step));
        let got = f64::from(gradients[place]);
        assert!((got - numeric).abs() < 1e-3 + 0.02 * numeric.abs(), "{place}: {got} for {numeric}");
    }
}

#[test]
fn gradients_are_the_numeric_ones() {
    let everything = LoraConfig { targets: Modules::Pattern(".*".into()), rank: 3, ..LoraConfig::default() };
    let (model, adapter) = adapted(&everything);
    stir(&adapter);
    let trainer = trainer(&model, &adapter, settings());
    let window = &trainer.data().train()[..13];
    let gradients = trainer.gradients_of(&model, window, 12, None).unwrap();
    let mut rng = Rng::new(5);
    assert_numeric(&trainer, &gradients.values, 60, &mut rng, || mean_loss(&model, &[window]).unwrap().unwrap());
}

#[test]
fn gradients_of_all_base_weights_are_the_numeric_ones() {
    let (model, vars) = Gpt2::init(small_config(), &mut Rng::new(1)).unwrap();
    let vars: Vec<Var> = vars.into_iter().map(|(_, var)| var).collect();
    let trainer = Trainer::new(vars, small_text(600, 61, 4), settings(), &model).unwrap();
    // Weights as small as at the start make differences vanish in rounding.
    let mut rng = Rng::new(6);
    let values: Vec<f32> = trainer.optimizer().values().unwrap().iter().map(|x| x + 0.15 * rng.normal()).collect();
    trainer.optimizer().set_values(&values).unwrap();
    let window = &trainer.data().train()[..13];
    let gradients = trainer.gradients_of(&model, window, 12, None).unwrap();
    assert_numeric(&trainer, &gradients.values, 80, &mut rng, || mean_loss(&model, &[window]).unwrap().unwrap());
}

#[test]
fn dropout_has_the_numeric_gradient_and_is_a_function_of_its_key() {
    let config = LoraConfig { dropout: 0.4, ..LoraConfig::default() };
    let (model, adapter) = adapted(&config);
    stir(&adapter);
    let trainer = trainer(&model, &adapter, settings());
    let window = &trainer.data().train()[..13];
    let of = |key| trainer.gradients_of(&model, window, 12, key).unwrap();
    assert_eq!(of(Some(1)), of(Some(1)));
    assert_ne!(of(Some(1)), of(Some(2)));
    assert_ne!(of(Some(1)), of(None));
    let gradients = of(Some(1));
    let mut rng = Rng::new(5);
    assert_numeric(&trainer, &gradients.values, 30, &mut rng, || of(Some(1)).loss);
}

#[test]
fn a_variable_that_the_loss_does_not_depend_on_is_an_error_and_not_zeros() {
    let (mut model, adapter) = adapted(&LoraConfig::default());
    let mut vars: Vec<Var> = adapter.vars().cloned().collect();
    let count = vars.len();
    vars.insert(2, Var::new(&[[1f32, 2., 3.]], &Device::Cpu).unwrap());
    let run = |vars: Vec<Var>, model: &Gpt2| Trainer::new(vars, small_text(600, 61, 4), settings(), model).unwrap();
    let start: Vec<Vec<f32>> = adapter.vars().map(|var| numbers(var.as_tensor())).collect();
    let refused = |trainer: &mut Trainer, model: &Gpt2, number: usize| {
        let error = trainer.step(model).unwrap_err();
        assert_eq!(error.code(), "no-gradient");
        assert!(
            error.to_string().contains(&format!("variable {number} of {}", trainer.optimizer().vars().len())),
            "{error}"
        );
        assert_eq!(trainer.steps_done(), 0);
        assert_eq!(adapter.vars().map(|var| numbers(var.as_tensor())).collect::<Vec<_>>(), start);
    };
    // A variable of nothing, by its place.
    refused(&mut run(vars, &model), &model, 3);
    // An adapter that is switched off, is merged, or stands behind another one that acts.
    let mut whole = run(adapter.vars().cloned().collect(), &model);
    assert_eq!(whole.optimizer().vars().len(), count);
    adapter.switch().set_active(false);
    refused(&mut whole, &model, 1);
    adapter.switch().set_active(true);
    lora_lab::lora::merge(&mut model).unwrap();
    refused(&mut whole, &model, 1);
    lora_lab::lora::unmerge(&mut model).unwrap();
    let first = lora_lab::lora::attach(&mut model, "a", &LoraConfig::default(), &mut Rng::new(1)).unwrap();
    refused(&mut whole, &model, 1);
    first.switch().set_active(false);
    whole.step(&model).unwrap();
}

#[test]
fn all_that_trains_has_a_gradient_whatever_is_adapted_and_dropped() {
    let layers = |layers: Vec<usize>| LoraConfig { layers_to_transform: Some(layers), ..LoraConfig::default() };
    let everything = LoraConfig { targets: Modules::Pattern(".*".into()), ..LoraConfig::default() };
    let head = LoraConfig { targets: Modules::List(vec!["lm_head".into()]), ..LoraConfig::default() };
    let dropped = LoraConfig { dropout: 0.9, ..everything.clone() };
    for config in [everything, head, dropped, layers(vec![0]), layers(vec![1])] {
        for qkv in [Qkv::Fused, Qkv::Split] {
            let mut model = Gpt2::load(small_config(), &small_files(2).1, qkv).unwrap();
            let adapter = replace_linear_with_lora(&mut model, &config, &mut Rng::new(3)).unwrap();
            // One block or more, and windows down to a single position.
            for block_size in [1, 12] {
                let settings = TrainConfig { block_size, ..settings() };
                trainer(&model, &adapter, settings).step(&model).unwrap();
            }
        }
    }
    for model_dropout in [0., 0.9] {
        let (model, vars) = Gpt2::load_trainable(small_config(), &small_files(2).1).unwrap();
        let vars: Vec<Var> = vars.into_iter().map(|(_, var)| var).collect();
        let settings = TrainConfig { model_dropout, ..settings() };
        Trainer::new(vars, small_text(600, 61, 4), settings, &model).unwrap().step(&model).unwrap();
    }
}

#[test]
fn the_base_is_byte_equal_after_training_and_the_optimizer_holds_lora_alone() {
    let (mut model, adapter) = adapted(&LoraConfig::default());
    let bytes = |model: &Gpt2| -> Vec<_> {
        let bits = |t: &Tensor| numbers(t).iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        model.named_tensors().iter().map(|(name, t)| (name.clone(), bits(t))).collect()
    };
    let before = bytes(&model);
    let mut trainer = trainer(&model, &adapter, settings());
    let want: usize =
        adapter.layers().values().map(|layer| layer.rank() * (layer.a.dims()[0] + layer.b.dims()[1])).sum();
    assert_eq!(trainer.optimizer().parameters(), want);
    assert_eq!(trainer.optimizer().vars().len(), 2 * adapter.layers().len());
    let start = trainer.optimizer().values().unwrap();
    for _ in 0..8 {
        trainer.step(&model).unwrap();
    }
    assert_ne!(trainer.optimizer().values().unwrap(), start);
    assert_eq!(bytes(&model), before);
    assert!(model.packed_equal_weights().unwrap());
    lora_lab::lora::remove(&mut model, "default").unwrap();
    assert_eq!(numbers(&logits(&model, &[1, 2, 3])), numbers(&logits(&small_model(2), &[1, 2, 3])));
}

#[test]
fn nothing_below_the_lowest_adapted_layer_is_part_of_the_backward_pass() {
    let blocks = small_config().n_layer;
    let ids = Tensor::new(&[[1u32, 2, 3]], &Device::Cpu).unwrap();
    for lowest in 0..blocks {
        let layers = Some((lowest..blocks).collect());
        let (model, _adapter) = adapted(&LoraConfig { layers_to_transform: layers, ..LoraConfig::default() });
        let states = model.hidden_states(&ids, &mut Pass::default()).unwrap();
        for (i, state) in states.iter().enumerate() {
            // The embeddings are number 0, so block i gives state i + 1. What no variable has gone into keeps no
            // operation to go back through.
            assert_eq!(state.track_op(), i > lowest, "state {i}, lowest adapted block {lowest}");
        }
    }
}

#[test]
fn tokens_that_come_again_begin_at_the_lowest_block_that_trains() {
    let ids = |first: u32| Tensor::new(&[[first, 2, 3]], &Device::Cpu).unwrap();
    let blocks = small_config().n_layer;
    for lowest in 0..blocks {
        let layers = Some((lowest..blocks).collect());
        let (model, adapter) = adapted(&LoraConfig { layers_to_transform: layers, ..LoraConfig::default() });
        let mut kept = None;
        let mut again = |first: u32| {
            let mut pass = Pass { block_input: Some(&mut kept), ..Pass::default() };
            numbers(&model.hidden(&ids(first), &mut pass).unwrap())
        };
        let plain = |first: u32| numbers(&model.hidden(&ids(first), &mut Pass::default()).unwrap());
        assert_eq!(again(1), plain(1));
        // Training since then shows in the result.
        stir(&adapter);
        assert_eq!(again(1), plain(1));
        // Other tokens, which a caller must not give, show that the lower blocks were not computed.
        assert_eq!(again(4), plain(if lowest > 0 { 1 } else { 4 }), "lowest adapted block {lowest}");
    }
}

#[test]
fn a_held_out_loss_is_the_same_whether_the_blocks_below_were_computed_before_or_not() {
    let top = LoraConfig { layers_to_transform: Some(vec![small_config().n_layer - 1]), ..LoraConfig::default() };
    let (model, adapter) = adapted(&top);
    let mut trainer = trainer(&model, &adapter, TrainConfig { held_out: 0.2, evaluate_every: 1, ..settings() });
    for _ in 0..4 {
        let step = trainer.step(&model).unwrap();
        assert_eq!(step.held_out_loss, trainer.evaluate(&model).unwrap());
        assert!(step.held_out_loss.is_some());
    }
}

#[test]
fn a_base_weight_has_no_gradient_at_all() {
    let (model, _adapter) = adapted(&LoraConfig::default());
    let ids = Tensor::new(&[[1u32, 2, 3]], &Device::Cpu).unwrap();
    let loss = model.forward(&ids, &mut Pass::default()).unwrap().sum_all().unwrap();
    let store = loss.backward().unwrap();
    for (name, tensor) in model.named_tensors() {
        assert!(store.get(&tensor).is_none(), "{name} has a gradient");
    }
}

fn lab_run(seed: u64, steps: usize) -> (Lab, Vec<Step>) {
    let (config, weights) = small_files(2);
    let mut lab = Lab::new(&config, &weights, None, Qkv::Fused).unwrap();
    lab.attach("default", &LoraConfig { dropout: 0.1, seed, ..LoraConfig::default() }).unwrap();
    lab.begin_training(None, &Input::Ids(small_text(600, 61, 4)), TrainConfig { seed, ..settings() }).unwrap();
    let done = (0..steps).map(|_| lab.step().unwrap()).collect();
    (lab, done)
}

#[test]
fn equal_seeds_give_equal_runs_and_others_other_ones() {
    let adapter = |(mut lab, _): (Lab, Vec<Step>)| lab.export_adapter(None).unwrap().0;
    assert_eq!(lab_run(1, 5).1, lab_run(1, 5).1);
    assert_eq!(adapter(lab_run(1, 5)), adapter(lab_run(1, 5)));
    assert_ne!(adapter(lab_run(1, 5)), adapter(lab_run(2, 5)));
}

#[test]
fn a_saved_and_resumed_run_equals_an_uninterrupted_one_bit_for_bit() {
    let (mut whole, steps) = lab_run(3, 8);
    let (first, _) = lab_run(3, 3);
    let saved = first.save_state().unwrap();
    let (config, weights) = small_files(2);
    let mut second = Lab::new(&config, &weights, None, Qkv::Fused).unwrap();
    let at = second.resume(&saved).unwrap();
    assert_eq!((at.step, at.steps), (3, 8));
    let rest: Vec<Step> = (0..5).map(|_| second.step().unwrap()).collect();
    assert_eq!(rest, steps[3..]);
    assert_eq!(second.export_adapter(None).unwrap(), whole.export_adapter(None).unwrap());
    // A run resumed in place of another one of the same name replaces it.
    assert_eq!(whole.resume(&saved).unwrap().step, 3);
    assert_eq!(whole.step().unwrap(), steps[3]);
}

#[test]
fn token_ids_are_saved_as_integers_and_read_as_nothing_else() {
    let saved = lab_run(3, 3).0.save_state().unwrap();
    let tensors = candle_core::safetensors::load_buffer(&saved, &Device::Cpu).unwrap();
    let ids = tensors["ids"].to_vec1::<u32>().unwrap();
    assert_eq!(ids, small_text(600, 61, 4));
    let (_, header) = ::safetensors::SafeTensors::read_metadata(&saved).unwrap();
    let header = header.metadata().as_ref().unwrap()["lora_lab_state"].clone();
    let (mut lab, _) = lab_run(9, 1);
    let before = lab.export_adapter(None).unwrap();
    // As f32 a fraction or a sign could be lost on the way to an id.
    let floats: Vec<f32> = ids.iter().map(|&id| id as f32).collect();
    let floats = Tensor::new(floats, &Device::Cpu).unwrap();
    let changed =
        tensors.into_iter().map(|(name, tensor)| (name.clone(), if name == "ids" { floats.clone() } else { tensor }));
    let bytes = lora_lab::checkpoint::safetensors::write(&changed.collect(), &[("lora_lab_state", header)]).unwrap();
    let error = lab.resume(&bytes).unwrap_err();
    assert_eq!(error.code(), "dtype", "{error}");
    assert!(error.to_string().contains("\"ids\"") && error.to_string().contains("expected U32"), "{error}");
    assert_eq!(lab.export_adapter(None).unwrap(), before);
}

#[test]
fn a_state_of_another_base_or_with_a_byte_cut_off_is_refused() {
    let (lab, _) = lab_run(3, 2);
    let saved = lab.save_state().unwrap();
    let (config, weights) = small_files(99);
    let mut other = Lab::new(&config, &weights, None, Qkv::Fused).unwrap();
    assert_eq!(other.resume(&saved).err().map(|e| e.code()), Some("other-base"));
    let (mut lab, _) = lab_run(3, 2);
    let before = lab.export_adapter(None).unwrap();
    assert_eq!(lab.resume(&saved[..saved.len() - 1]).err().map(|e| e.code()), Some("format"));
    assert_eq!(lab.resume(&[]).err().map(|e| e.code()), Some("format"));
    assert_eq!(lab.export_adapter(None).unwrap(), before);
    lab.step().unwrap();
}

/// One step of a leader with helpers, each of which has a run of its own that follows the leader's.
fn spread_step(leader: &mut Lab, helpers: &mut [Lab]) -> Step {
    let at = leader.position().unwrap();
    let values = leader.values().unwrap();
    let workers = 1 + helpers.len();
    let share = |count: usize, worker: usize| count * worker / workers..count * (worker + 1) / workers;
    let mut sum = leader.gradient_sum().unwrap();
    leader.add_gradients(share(at.sequences, 0), &mut sum).unwrap();
    for (helper, worker) in helpers.iter_mut().zip(1..) {
        helper.follow(at.step, &values).unwrap();
        for part in helper.gradients(share(at.sequences, worker)).unwrap() {
            sum.add(part.loss, &part.values).unwrap();
        }
    }
    let step = leader.update(sum).unwrap();
    let mut losses = leader.held_out_losses(share(at.held_out_windows, 0)).unwrap();
    for (helper, worker) in helpers.iter_mut().zip(1..) {
        helper.follow(step.step, &leader.values().unwrap()).unwrap();
        losses.extend(helper.held_out_losses(share(at.held_out_windows, worker)).unwrap());
    }
    let held_out_loss = (!losses.is_empty()).then(|| losses.iter().fold(0., |sum, loss| sum + loss));
    Step { held_out_loss, ..step }
}

#[test]
fn any_number_of_workers_trains_the_same_adapter_bit_for_bit() {
    let accumulated = |lab: &mut Lab| {
        let text = Input::Ids(small_text(600, 61, 4));
        lab.begin_training(None, &text, TrainConfig { accumulation: 2, ..settings() }).unwrap();
    };
    let (mut alone, _) = lab_run(5, 0);
    accumulated(&mut alone);
    let steps: Vec<Step> = (0..8).map(|_| alone.step().unwrap()).collect();
    assert_eq!(steps.iter().filter(|step| step.held_out_loss.is_some()).count(), 2);
    for workers in 1..=4 {
        let (mut leader, _) = lab_run(5, 0);
        accumulated(&mut leader);
        let state = leader.save_state().unwrap();
        let helper = |_| {
            let (config, weights) = small_files(2);
            let mut helper = Lab::new(&config, &weights, None, Qkv::Fused).unwrap();
            helper.resume(&state).unwrap();
            helper
        };
        let mut helpers: Vec<Lab> = (1..workers).map(helper).collect();
        for want in &steps {
            assert_eq!(spread_step(&mut leader, &mut helpers), *want, "{workers} workers");
        }
        assert_eq!(leader.export_adapter(None).unwrap(), alone.export_adapter(None).unwrap(), "{workers} workers");
    }
}

#[test]
fn a_sum_that_is_no_whole_step_is_refused_and_changes_nothing() {
    let (mut lab, _) = lab_run(5, 2);
    let values = lab.values().unwrap();
    let code = |error: Option<Error>| error.map(|e| e.code());
    let mut sum = lab.gradient_sum().unwrap();
    lab.add_gradients(0..2, &mut sum).unwrap();
    assert_eq!(code(sum.add(0., &[1.; 3]).err()), Some("config"));
    assert_eq!(code(lab.update(sum).err()), Some("config"));
    assert_eq!(code(lab.follow(1, &values[1..]).err()), Some("config"));
    assert_eq!(code(lab.held_out_losses(0..1000).err()), Some("config"));
    assert_eq!((lab.values().unwrap(), lab.position().unwrap().step), (values, 2));
    let run = lab.position().unwrap().run;
    lab.begin_training(None, &Input::Ids(small_text(600, 61, 4)), settings()).unwrap();
    assert_ne!(lab.position().unwrap().run, run, "another run is told apart");
}

#[test]
fn gradients_applied_at_once_equal_one_step() {
    let (mut whole, _) = lab_run(5, 2);
    let (mut parts, _) = lab_run(5, 2);
    let gradients = parts.gradients(0..3).unwrap();
    assert_eq!(parts.apply(&gradients).unwrap(), whole.step().unwrap());
    assert_eq!(parts.export_adapter(None).unwrap(), whole.export_adapter(None).unwrap());
}

#[test]
fn accumulation_equals_a_batch_as_large() {
    let run = |batch_size, accumulation| {
        let (model, adapter) = adapted(&LoraConfig::default());
        let mut trainer = trainer(&model, &adapter, TrainConfig { batch_size, accumulation, ..settings() });
        (0..3).for_each(|_| assert!(trainer.step(&model).is_ok()));
        trainer.optimizer().values().unwrap()
    };
    assert_eq!(run(4, 1), run(2, 2));
}

#[test]
fn clipping_bounds_the_gradient_that_is_applied() {
    // With plain numbers: clipping by a tiny norm and by none differ, but only by a factor in the first moment.
    let moment = |gradient_clip| {
        let (model, adapter) = adapted(&LoraConfig::default());
        stir(&adapter);
        let mut trainer =
            trainer(&model, &adapter, TrainConfig { gradient_clip, beta1: 0., weight_decay: 0., ..settings() });
        let start = trainer.optimizer().values().unwrap();
        let step = trainer.step(&model).unwrap();
        (start, trainer.optimizer().values().unwrap(), step.grad_norm)
    };
    let (start, free, norm) = moment(0.);
    let (_, clipped, same_norm) = moment(norm * 1e-9);
    assert_eq!(norm, same_norm);
    let moved = |end: &[f32]| start.iter().zip(end).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>();
    // Adam divides by the gradient's size, so only a gradient of the order of epsilon moves less.
    assert!(moved(&clipped) < 0.5 * moved(&free), "{} {}", moved(&clipped), moved(&free));
}

#[test]
fn adamw_is_pytorchs_rule() {
    let config = AdamWConfig { weight_decay: 0.1, ..AdamWConfig::default() };
    let var = Var::new(&[1f32, -2., 0.5], &Device::Cpu).unwrap();
    let mut optimizer = AdamW::new(vec![var.clone()], config).unwrap();
    let (mut p, mut m, mut v) = ([1f64, -2., 0.5], [0f64; 3], [0f64; 3]);
    for t in 1..=10 {
        let gradient: Vec<f32> = (0..3).map(|i| ((t * 3 + i) as f32).sin()).collect();
        optimizer.update(&gradient, 0.5, 1e-2).unwrap();
        for i in 0..3 {
            let g = 0.5 * f64::from(gradient[i]);
            p[i] *= 1. - 1e-2 * config.weight_decay;
            m[i] = config.beta1 * m[i] + (1. - config.beta1) * g;
            v[i] = config.beta2 * v[i] + (1. - config.beta2) * g * g;
            let (c1, c2) = (1. - config.beta1.powi(t), 1. - config.beta2.powi(t));
            p[i] -= 1e-2 / c1 * m[i] / (v[i].sqrt() / c2.sqrt() + config.epsilon);
        }
    }
    for (got, want) in numbers(var.as_tensor()).iter().zip(p) {
        assert!((f64::from(*got) - want).abs() < 1e-6, "{got} for {want}");
    }
}

#[test]
fn a_diverging_run_stops_with_an_error_and_keeps_the_last_good_state() {
    let (model, adapter) = adapted(&LoraConfig::default());
    let config = TrainConfig { learning_rate: 1e30, gradient_clip: 0., warmup_steps: 0, steps: 50, ..settings() };
    let mut trainer = trainer(&model, &adapter, config);
    let error = (0..50).find_map(|_| trainer.step(&model).err()).expect("it diverges");
    let Error::Diverged { step, kept, .. } = error else { panic!("{error}") };
    assert!(kept < step);
    // The first step's huge values make the second step's loss NaN.
    assert!(error.to_string().contains("loss became") && error.to_string().contains("at step 2"), "{error}");
    assert_eq!(trainer.steps_done(), kept);
    let loss = mean_loss(&model, &[&trainer.data().train()[..13]]).unwrap().unwrap();
    assert!(loss.is_finite(), "the state that was kept gives {loss}");
}

#[test]
fn what_overflowed_is_told_with_its_own_step() {
    let (model, adapter) = adapted(&LoraConfig::default());
    let run = |learning_rate: f64| {
        let config = TrainConfig { learning_rate, gradient_clip: 0., warmup_steps: 0, ..settings() };
        trainer(&model, &adapter, config)
    };
    let told = |error: Error, says: &[&str], at: usize| {
        let text = error.to_string();
        assert!(says.iter().all(|word| text.contains(word)), "{text}");
        let Error::Diverged { step, kept, .. } = error else { panic!("{error}") };
        assert_eq!((step, kept), (at, at - 1), "{text}");
    };
    // A rate that is infinite as an f32 makes the parameters so in the very step whose loss was good.
    let mut overflowing = run(1e39);
    let start = overflowing.optimizer().values().unwrap();
    told(overflowing.step(&model).unwrap_err(), &["the update made a parameter", "after a loss of "], 1);
    assert_eq!((overflowing.optimizer().values().unwrap(), overflowing.steps_done()), (start.clone(), 0));
    // A gradient that is infinite, or whose square is, at a finite loss.
    for large in [f32::INFINITY, 1e30] {
        let mut trainer = run(1e-3);
        let mut sum = trainer.gradient_sum();
        let sequences = trainer.config().sequences();
        (0..sequences).for_each(|_| sum.add(6.65 / sequences as f64, &vec![large; start.len()]).unwrap());
        told(trainer.update(sum).unwrap_err(), &["the norm of the gradient became inf, at a loss of 6.65"], 1);
        assert_eq!((trainer.optimizer().values().unwrap(), trainer.steps_done()), (start.clone(), 0));
    }
}

#[test]
fn the_held_out_loss_falls_by_a_tenth_for_three_seeds_and_zero_b_gives_the_first_loss_again() {
    for seed in 1..=3 {
        let (model, adapter) = adapted(&LoraConfig { seed, ..LoraConfig::default() });
        let config = TrainConfig { steps: 60, seed, learning_rate: 2e-2, evaluate_every: 0, ..settings() };
        let mut trainer = trainer(&model, &adapter, config);
        let before = trainer.evaluate(&model).unwrap().unwrap();
        (0..60).for_each(|_| assert!(trainer.step(&model).is_ok()));
        let after = trainer.evaluate(&model).unwrap().unwrap();
        assert!(after < 0.9 * before, "seed {seed}: {before} → {after}");
        adapter.zero_b().unwrap();
        assert_eq!(trainer.evaluate(&model).unwrap().unwrap(), before);
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn the_tiny_checkpoint_learns_a_sample_by_a_tenth_for_three_seeds() {
    let www = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("www");
    let text = |path: &str| std::fs::read_to_string(www.join(path)).unwrap();
    let weights = std::fs::read(www.join("models/tiny/model.safetensors")).unwrap();
    let tokenizer = text("models/tiny/tokenizer.json");
    for (seed, sample) in [(1, "pirate"), (2, "robot"), (3, "recipes")] {
        let mut lab = Lab::new(&text("models/tiny/config.json"), &weights, Some(&tokenizer), Qkv::Fused).unwrap();
        let digest = lab.base_digest().unwrap();
        lab.attach("default", &LoraConfig { seed, ..LoraConfig::default() }).unwrap();
        let settings = TrainConfig {
            steps: 20,
            learning_rate: 5e-3, // twenty steps are few: larger ones
            batch_size: 2,
            block_size: 64,
            evaluate_every: 0,
            evaluation_windows: 4,
            seed,
            ..TrainConfig::default()
        };
        lab.begin_training(None, &Input::Text(text(&format!("samples/{sample}.txt"))), settings).unwrap();
        let before = lab.evaluate().unwrap().unwrap();
        (0..20).for_each(|_| assert!(lab.step().is_ok()));
        let after = lab.evaluate().unwrap().unwrap();
        assert!(after < 0.9 * before, "{sample}, seed {seed}: {before} → {after}");
        assert_eq!(lab.base_digest().unwrap(), digest);
    }
}

#[test]
fn impossible_settings_are_refused_by_name() {
    let (config, weights) = small_files(2);
    let mut lab = Lab::new(&config, &weights, None, Qkv::Fused).unwrap();
    let text = Input::Ids(small_text(600, 61, 4));
    assert_eq!(lab.begin_training(None, &text, settings()).err().map(|e| e.code()), Some("order"));
    lab.attach("default", &LoraConfig::default()).unwrap();
    let bad = [
        (TrainConfig { steps: 0, ..settings() }, "config"),
        (TrainConfig { batch_size: 0, ..settings() }, "config"),
        (TrainConfig { learning_rate: f64::NAN, ..settings() }, "config"),
        (TrainConfig { learning_rate: -1., ..settings() }, "config"),
        (TrainConfig { beta2: 1., ..settings() }, "config"),
        (TrainConfig { held_out: 1., ..settings() }, "config"),
        (TrainConfig { gradient_clip: f64::INFINITY, ..settings() }, "config"),
        (TrainConfig { block_size: 33, ..settings() }, "config"),
    ];
    for (config, code) in bad {
        let error = lab.begin_training(None, &text, config.clone()).unwrap_err();
        assert_eq!(error.code(), code, "{config:?}: {error}");
    }
    assert_eq!(
        lab.begin_training(None, &Input::Ids(vec![1; 5]), settings()).err().map(|e| e.code()),
        Some("too-short")
    );
    assert_eq!(lab.begin_training(None, &Input::Ids(vec![61; 50]), settings()).err().map(|e| e.code()), Some("token"));
    assert_eq!(
        lab.begin_training(None, &Input::Text("words".into()), settings()).err().map(|e| e.code()),
        Some("no-tokenizer")
    );
    assert!(!lab.is_training());
}
