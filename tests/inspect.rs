//! Looking into a lab: ΔW, the next tokens that were possible, the loss of any text.

mod common;

use candle_core::{Device, Tensor};
use common::*;
use lora_lab::lab::{CandidateOptions, DeltaOptions, Input, Lab};
use lora_lab::lora::delta::{Delta, norm};
use lora_lab::lora::{LoraConfig, LoraLayer, Modules};
use lora_lab::model::Qkv;
use lora_lab::rng::Rng;
use lora_lab::train::{TrainConfig, mean_loss};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::{wasm_bindgen_test as test, wasm_bindgen_test_configure};
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// A layer with noise in both matrices.
fn layer(inputs: usize, outputs: usize, rank: usize, scaling: f64) -> LoraLayer {
    let mut rng = Rng::new((inputs * 1000 + outputs * 10 + rank) as u64);
    let layer = LoraLayer::with_bound(inputs, outputs, rank, scaling, 1., &mut rng).unwrap();
    let b: Vec<f32> = (0..rank * outputs).map(|_| rng.normal()).collect();
    layer.b.set(&Tensor::from_vec(b, (rank, outputs), &Device::Cpu).unwrap()).unwrap();
    layer
}

/// ΔW by its definition, rows of inputs.
fn definition(layer: &LoraLayer) -> Vec<Vec<f64>> {
    let (a, b) = (layer.a.to_vec2::<f32>().unwrap(), layer.b.to_vec2::<f32>().unwrap());
    let entry = |row: &[f32], column: usize| {
        let terms = row.iter().zip(&b).map(|(&a, b)| f64::from(a) * f64::from(b[column]));
        layer.scaling() * terms.sum::<f64>()
    };
    a.iter().map(|row| (0..b[0].len()).map(|column| entry(row, column)).collect()).collect()
}

/// Singular values by one-sided Jacobi rotations (Hestenes, 1958): columns are turned until all are orthogonal, and
/// their lengths are the values. Slow, and exact to the last digits.
fn jacobi(matrix: &[Vec<f64>]) -> Vec<f64> {
    let mut columns: Vec<Vec<f64>> =
        (0..matrix[0].len()).map(|column| matrix.iter().map(|row| row[column]).collect()).collect();
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    for _sweep in 0..60 {
        for p in 0..columns.len() {
            for q in p + 1..columns.len() {
                let (xx, yy, xy) =
                    (dot(&columns[p], &columns[p]), dot(&columns[q], &columns[q]), dot(&columns[p], &columns[q]));
                if xy == 0. {
                    continue;
                }
                let zeta = (yy - xx) / (2. * xy);
                let tangent = zeta.signum() / (zeta.abs() + zeta.hypot(1.));
                let cosine = 1. / tangent.hypot(1.);
                let [column_p, column_q] = columns.get_disjoint_mut([p, q]).unwrap();
                for (x, y) in column_p.iter_mut().zip(column_q) {
                    (*x, *y) = (cosine * (*x - tangent * *y), cosine * (*y + tangent * *x));
                }
            }
        }
    }
    let mut values: Vec<f64> = columns.iter().map(|column| dot(column, column).sqrt()).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values
}

#[test]
fn singular_values_are_those_of_jacobis_rotations_and_stop_after_the_rank() {
    for (inputs, outputs) in [(1, 1), (1, 9), (7, 7), (9, 5), (12, 30), (30, 12)] {
        for rank in [1, 2, 5, 8] {
            let layer = layer(inputs, outputs, rank, 1.5);
            let values = Delta::new(&layer).unwrap().singular_values(usize::MAX);
            let want = jacobi(&definition(&layer));
            assert_eq!(values.len(), inputs.min(outputs));
            for (index, (got, want)) in values.iter().zip(&want).enumerate() {
                // Computing them from eigenvalues limits the accuracy to the square root of a double's rounding.
                assert!((got - want).abs() < 1e-6 * want.max(values[0]), "{inputs}×{outputs} of {rank}: {got}, {want}");
                assert_eq!(*got > 1e-6 * values[0], index < rank, "{inputs}×{outputs} of {rank}: {values:?}");
            }
        }
    }
}

#[test]
fn the_norm_without_forming_the_product_is_that_of_the_product() {
    for (inputs, outputs, rank, scaling) in [(1, 1, 1, 1.), (5, 8, 2, -0.5), (24, 72, 8, 2.), (9, 4, 13, 3.)] {
        let layer = layer(inputs, outputs, rank, scaling);
        let want = definition(&layer).iter().flatten().map(|x| x * x).sum::<f64>().sqrt();
        let values = Delta::new(&layer).unwrap().singular_values(usize::MAX);
        let by_values = values.iter().map(|x| x * x).sum::<f64>().sqrt();
        for got in [norm(&layer).unwrap(), by_values] {
            assert!((got - want).abs() < 1e-9 * want, "{got} for {want}");
        }
    }
    let fresh = LoraLayer::new(6, 5, 2, 1., &mut Rng::new(1)).unwrap();
    assert_eq!(norm(&fresh).unwrap(), 0.);
    assert_eq!(Delta::new(&fresh).unwrap().singular_values(3), [0.; 3]);
}

#[test]
fn a_map_is_the_mean_of_its_cells_at_every_size() {
    let layer = layer(7, 10, 2, 0.5);
    let (delta, want) = (Delta::new(&layer).unwrap(), definition(&layer));
    for rows in 1..9 {
        for columns in 1..12 {
            let map = delta.map(rows, columns);
            assert_eq!((map.rows, map.columns), (rows.min(7), columns.min(10)));
            assert_eq!(map.cells.len(), map.rows * map.columns);
            for (index, got) in map.cells.iter().enumerate() {
                let (row, column) = (index / map.columns, index % map.columns);
                let covered = |cell: usize, cells: usize, all: usize| cell * all / cells..(cell + 1) * all / cells;
                let cell: Vec<f64> = covered(row, map.rows, 7)
                    .flat_map(|row| want[row][covered(column, map.columns, 10)].to_vec())
                    .collect();
                let want = cell.iter().sum::<f64>() / cell.len() as f64;
                assert!((got - want).abs() < 1e-12, "{rows}×{columns} at {index}: {got} for {want}");
            }
        }
    }
}

fn lab(qkv: Qkv) -> Lab {
    let (config, weights) = small_files(5);
    Lab::new(&config, &weights, None, qkv).unwrap()
}

fn settings() -> TrainConfig {
    TrainConfig {
        steps: 3,
        batch_size: 2,
        block_size: 16,
        learning_rate: 2e-2,
        warmup_steps: 0,
        ..TrainConfig::default()
    }
}

/// A lab whose active adapter has trained for some steps.
fn trained(qkv: Qkv) -> Lab {
    let mut lab = lab(qkv);
    lab.attach("default", &LoraConfig { rank: 3, ..LoraConfig::default() }).unwrap();
    lab.begin_training(None, &Input::Ids(small_text(400, 61, 1)), settings()).unwrap();
    for _ in 0..3 {
        lab.step().unwrap();
    }
    lab
}

fn code<T: std::fmt::Debug>(result: lora_lab::Result<T>) -> &'static str {
    result.unwrap_err().code()
}

#[test]
fn every_adapted_layer_has_its_norm_beside_the_bases_however_it_is_switched() {
    for (qkv, first, layers) in [(Qkv::Fused, "attn.c_attn", 8), (Qkv::Split, "attn.W_query", 12)] {
        let mut lab = trained(qkv);
        let deltas = lab.deltas(None).unwrap();
        assert_eq!(deltas.len(), layers);
        assert_eq!(deltas[0].name, format!("transformer.h.0.{first}"));
        let digest = lab.base_digest().unwrap();
        for delta in &deltas {
            assert!(delta.norm > 0. && delta.norm < delta.base_norm, "{delta:?}");
            let view = lab.delta(&delta.name, DeltaOptions::default(), None).unwrap();
            assert_eq!((view.norm, view.inputs, view.outputs), (delta.norm, delta.inputs, delta.outputs));
            assert_eq!(view.singular_values.len(), 16.min(delta.inputs).min(delta.outputs));
            assert_eq!((view.rows, view.columns), (delta.inputs.min(48), delta.outputs.min(48)));
        }
        lab.set_strength(0.5).unwrap();
        lab.set_enabled(false).unwrap();
        assert_eq!(lab.deltas(None).unwrap(), deltas);
        lab.set_enabled(true).unwrap();
        lab.merge(None).unwrap();
        assert_eq!(lab.deltas(None).unwrap(), deltas);
        lab.unmerge().unwrap();
        assert_eq!(lab.base_digest().unwrap(), digest);
    }
}

#[test]
fn the_norms_of_a_fresh_adapter_are_zero_and_the_bases_those_of_its_weights() {
    let mut lab = lab(Qkv::Fused);
    let targets = Modules::List(vec!["mlp.c_fc".into()]);
    lab.attach("default", &LoraConfig { targets, ..LoraConfig::default() }).unwrap();
    let weights = candle_core::safetensors::load_buffer(&small_files(5).1, &Device::Cpu).unwrap();
    let deltas = lab.deltas(None).unwrap();
    assert_eq!(deltas.len(), 2);
    for delta in deltas {
        let weight = numbers(&weights[&format!("{}.weight", delta.name)]);
        let want = weight.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        assert_eq!(delta.norm, 0.);
        assert!((delta.base_norm - want).abs() < 1e-9 * want);
    }
}

#[test]
fn what_is_not_there_cannot_be_looked_at() {
    let mut lab = lab(Qkv::Fused);
    assert_eq!(code(lab.deltas(None)), "order");
    assert_eq!(code(lab.delta("transformer.h.0.attn.c_attn", DeltaOptions::default(), None)), "order");
    lab.attach("default", &LoraConfig { targets: Modules::List(vec!["c_fc".into()]), ..LoraConfig::default() })
        .unwrap();
    let error = lab.delta("transformer.h.0.attn.c_attn", DeltaOptions::default(), None).unwrap_err();
    assert_eq!(error.code(), "no-layer");
    assert!(error.to_string().ends_with("it has transformer.h.0.mlp.c_fc, transformer.h.1.mlp.c_fc"), "{error}");
    let none = DeltaOptions { rows: 0, columns: 1 };
    assert_eq!(code(lab.delta("transformer.h.0.mlp.c_fc", none, None)), "config");
    let ids = Input::Ids(vec![1, 2]);
    for count in [0, 62] {
        assert_eq!(code(lab.candidates(&ids, CandidateOptions { count }, true)), "config");
    }
    let candidates = CandidateOptions::default();
    assert_eq!(code(lab.candidates(&Input::Ids(vec![61]), candidates, true)), "token");
    assert_eq!(code(lab.candidates(&Input::Ids(vec![1; 33]), candidates, true)), "too-long");
    assert_eq!(code(lab.candidates(&Input::Text("a".into()), candidates, true)), "no-tokenizer");
    assert_eq!(code(lab.loss(&Input::Ids(vec![1]), false)), "too-short");
    assert_eq!(code(lab.loss(&Input::Ids(vec![1, 61]), false)), "token");
    lab.merge(None).unwrap();
    assert_eq!(code(lab.candidates(&ids, candidates, true)), "merged");
    assert_eq!(code(lab.loss(&ids, false)), "merged");
    assert!(lab.loss(&ids, true).is_ok());
}

/// The softmax of each row of `logits`, in doubles.
fn softmax(logits: &[f32], vocabulary: usize) -> Vec<Vec<f64>> {
    let row = |row: &[f32]| {
        let powers: Vec<f64> = row.iter().map(|&x| f64::from(x).exp()).collect();
        let total: f64 = powers.iter().sum();
        powers.iter().map(|x| x / total).collect()
    };
    logits.chunks(vocabulary).map(row).collect()
}

#[test]
fn candidates_are_the_largest_of_the_softmax_of_base_and_adapter() {
    let mut lab = trained(Qkv::Fused);
    let sequence = [3, 14, 15, 9, 26, 53];
    let adapted = softmax(&lab.logits(&sequence, true).unwrap(), 61);
    lab.set_enabled(false).unwrap();
    let base = softmax(&lab.logits(&sequence, true).unwrap(), 61);
    let off = lab.candidates(&Input::Ids(sequence.into()), CandidateOptions::default(), true).unwrap();
    assert!(off.positions.iter().all(|position| position.adapter.is_none()));
    lab.set_enabled(true).unwrap();
    for count in [1, 5, 61] {
        let found = lab.candidates(&Input::Ids(sequence.into()), CandidateOptions { count }, true).unwrap();
        assert_eq!(found.tokens.iter().map(|token| token.id).collect::<Vec<_>>(), sequence);
        assert_eq!(found.positions.len(), sequence.len());
        for (index, position) in found.positions.iter().enumerate() {
            for (list, want) in [(&position.base, &base[index]), (position.adapter.as_ref().unwrap(), &adapted[index])]
            {
                assert_eq!(list.len(), count);
                assert!(
                    list.is_sorted_by(|a, b| a.p >= b.p)
                        && list.iter().all(|c| (c.p - want[c.id as usize]).abs() < 1e-9)
                );
                let least = list.last().unwrap().p;
                assert_eq!(want.iter().filter(|&&p| p > least + 1e-12).count(), count - 1);
                let sum: f64 = list.iter().map(|candidate| candidate.p).sum();
                assert!(sum <= 1. + 1e-9 && (count < 61 || sum > 1. - 1e-9));
            }
        }
        assert_ne!(found.positions[5].adapter.as_ref(), Some(&found.positions[5].base));
    }
    // The requests have switched nothing.
    assert_eq!(softmax(&lab.logits(&sequence, true).unwrap(), 61), adapted);
}

#[test]
fn the_loss_of_a_text_is_the_mean_over_its_windows_and_of_the_held_out_part_what_evaluating_says() {
    let mut lab = trained(Qkv::Fused);
    // 33 tokens are one window of the context of 32, 40 of 400 tokens are held out.
    let text = small_text(400, 61, 1);
    let one_window = TrainConfig { block_size: 32, held_out: 33. / 400., evaluation_windows: 1, ..settings() };
    lab.begin_training(None, &Input::Ids(text.clone()), one_window).unwrap();
    let held_out = Input::Ids(text[400 - 33..].to_vec());
    let want = lab.evaluate().unwrap().unwrap();
    assert!((lab.loss(&held_out, true).unwrap() - want).abs() < 1e-6);
    // Every number of tokens around the borders of windows, against one token at a time with all that its window holds.
    for length in [2, 3, 32, 33, 34, 64, 65, 66, 100] {
        let ids = &text[..length];
        let mut sum = 0.;
        for target in 1..length {
            let start = (target - 1) / 32 * 32;
            sum -=
                softmax(&lab.logits(&ids[start..target], true).unwrap(), 61).pop().unwrap()[ids[target] as usize].ln();
        }
        let (got, want) = (lab.loss(&Input::Ids(ids.to_vec()), true).unwrap(), sum / (length - 1) as f64);
        assert!((got - want).abs() < 1e-5, "{length} tokens: {got} for {want}");
    }
    let base = lab.loss(&held_out, false).unwrap();
    assert_ne!(base, want);
    let ids = &text[400 - 33..];
    assert_eq!(base, mean_loss(lab.model(), &[ids]).unwrap().unwrap());
    assert_eq!(lab.loss(&held_out, "default").unwrap(), lab.loss(&held_out, true).unwrap());
    lab.set_enabled(false).unwrap();
    assert_eq!(lab.loss(&held_out, true).unwrap(), base);
    lab.end_training();
    lab.remove("default").unwrap();
    assert_eq!(lab.loss(&held_out, true).unwrap(), base);
}
