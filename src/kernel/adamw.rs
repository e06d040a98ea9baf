//! AdamW (Loshchilov and Hutter, 2019), as PyTorch's `torch.optim.AdamW` computes it.

use super::lanes::{Lanes, Widest};

/// The numbers of one update. Double precision, as PyTorch combines them before it touches a tensor.
#[derive(Clone, Copy, Debug)]
pub struct AdamwStep {
    pub lr: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
    /// `1 − beta1^t` for the t-th step, counted from 1.
    pub bias_correction1: f64,
    /// `1 − beta2^t`.
    pub bias_correction2: f64,
    /// Multiplies every gradient: clipping by the norm, or the mean over accumulated ones.
    pub grad_scale: f64,
}

/// One update of `params` and of the moments `m`, `v`, in one pass:
/// ```text
/// p −= lr·weight_decay·p
/// m += (1 − beta1)·(g − m)
/// v  = beta2·v + (1 − beta2)·g²
/// p −= lr/bias_correction1 · m / (√v/√bias_correction2 + epsilon)
/// ```
pub fn adamw(params: &mut [f32], grads: &[f32], m: &mut [f32], v: &mut [f32], step: &AdamwStep) {
    update::<Widest>(params, grads, m, v, step);
}

fn update<V: Lanes>(params: &mut [f32], grads: &[f32], m: &mut [f32], v: &mut [f32], step: &AdamwStep) {
    debug_assert!(grads.len() == params.len() && m.len() == params.len() && v.len() == params.len());
    let lane = |x: f64| V::splat(x as f32);
    let keep = lane(1. - step.lr * step.weight_decay);
    let (one_minus_beta1, beta2, one_minus_beta2) = (lane(1. - step.beta1), lane(step.beta2), lane(1. - step.beta2));
    let minus_rate = lane(-step.lr / step.bias_correction1);
    let (root_correction, epsilon) = (lane(step.bias_correction2.sqrt()), lane(step.epsilon));
    let grad_scale = lane(step.grad_scale);
    let f = |p: V, g: V, m: V, v: V| {
        let g = g.mul(grad_scale);
        let m = one_minus_beta1.mul_add(g.sub(m), m);
        let v = v.mul(beta2).add(g.mul(one_minus_beta2).mul(g));
        let denominator = v.sqrt().div(root_correction).add(epsilon);
        (p.mul(keep).add(minus_rate.mul(m).div(denominator)), m, v)
    };
    let (mut p_chunks, g_chunks) = (params.chunks_exact_mut(V::LEN), grads.chunks_exact(V::LEN));
    let (mut m_chunks, mut v_chunks) = (m.chunks_exact_mut(V::LEN), v.chunks_exact_mut(V::LEN));
    let g_tail = g_chunks.remainder();
    for (((p, g), m), v) in (&mut p_chunks).zip(g_chunks).zip(&mut m_chunks).zip(&mut v_chunks) {
        let (p_new, m_new, v_new) = f(V::load(p), V::load(g), V::load(m), V::load(v));
        p_new.store(p);
        m_new.store(m);
        v_new.store(v);
    }
    let (p, m, v) = (p_chunks.into_remainder(), m_chunks.into_remainder(), v_chunks.into_remainder());
    let load = |xs: &[f32]| V::load_partial(xs, 0.);
    // The padding divides 0 by epsilon; its result is not stored.
    let (p_new, m_new, v_new) = f(load(p), load(g_tail), load(m), load(v));
    p_new.store_partial(p);
    m_new.store_partial(m);
    v_new.store_partial(v);
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Scalar;
    use super::super::testing::{assert_close, doubles, noise};
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn adamw_is_pytorchs_rule_over_several_steps_for_every_short_slice() {
        for n in 1..40 {
            for widest in [false, true] {
                let mut p = noise(n, 1);
                let (mut m, mut v) = (vec![0.; n], vec![0.; n]);
                let (mut p_want, mut m_want, mut v_want) = (doubles(&p), vec![0.; n], vec![0.; n]);
                for t in 1..=4 {
                    let grads = noise(n, 10 + t as u32);
                    let step = AdamwStep {
                        lr: 1e-2,
                        beta1: 0.9,
                        beta2: 0.99,
                        epsilon: 1e-8,
                        weight_decay: 0.1,
                        bias_correction1: 1. - 0.9_f64.powi(t),
                        bias_correction2: 1. - 0.99_f64.powi(t),
                        grad_scale: 0.5,
                    };
                    if widest {
                        adamw(&mut p, &grads, &mut m, &mut v, &step);
                    } else {
                        update::<Scalar>(&mut p, &grads, &mut m, &mut v, &step);
                    }
                    for i in 0..n {
                        let g = f64::from(grads[i]) * 0.5;
                        p_want[i] -= 1e-2 * 0.1 * p_want[i];
                        m_want[i] = 0.9 * m_want[i] + 0.1 * g;
                        v_want[i] = 0.99 * v_want[i] + 0.01 * g * g;
                        let denominator = (v_want[i] / step.bias_correction2).sqrt() + 1e-8;
                        p_want[i] -= 1e-2 * m_want[i] / step.bias_correction1 / denominator;
                    }
                }
                assert_close(&p, &p_want, 1e-6, &format!("parameters, n = {n}"));
                assert_close(&m, &m_want, 1e-7, &format!("first moments, n = {n}"));
                assert_close(&v, &v_want, 1e-7, &format!("second moments, n = {n}"));
            }
        }
    }
}
