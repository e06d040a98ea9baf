//! The definitions, one number at a time and in double precision: what every kernel is checked against before it is timed.

/// `Σ a·b` for each of `m·n` places; `a` and `b` say where their numbers lie.
pub fn product(a: impl Fn(usize, usize) -> f32, b: impl Fn(usize, usize) -> f32, [m, k, n]: [usize; 3]) -> Vec<f64> {
    let mut c = vec![0.; m * n];
    for (i, row) in c.chunks_exact_mut(n).enumerate() {
        for p in 0..k {
            let a = f64::from(a(i, p));
            row.iter_mut().enumerate().for_each(|(j, c)| *c += a * f64::from(b(p, j)));
        }
    }
    c
}

/// GELU by its tanh form.
pub fn gelu(x: f64) -> f64 {
    0.5 * x * (1. + inner(x).tanh())
}

/// Its derivative.
pub fn gelu_derivative(x: f64) -> f64 {
    let (t, slope) = (inner(x).tanh(), (2. / std::f64::consts::PI).sqrt() * (1. + 3. * 0.044_715 * x * x));
    0.5 * (1. + t) + 0.5 * x * (1. - t * t) * slope
}

fn inner(x: f64) -> f64 {
    (2. / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)
}

/// Layer norm of each row with a weight of ones and no bias, and the gradient of its input.
pub fn layer_norm(x: &[f32], dy: &[f32], width: usize, epsilon: f64) -> (Vec<f64>, Vec<f64>) {
    let (mut y, mut dx) = (Vec::new(), Vec::new());
    for (x, dy) in x.chunks_exact(width).zip(dy.chunks_exact(width)) {
        let n = width as f64;
        let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let variance = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
        let rstd = 1. / (variance + epsilon).sqrt();
        let normal: Vec<f64> = x.iter().map(|&x| (f64::from(x) - mean) * rstd).collect();
        let mean_dy = dy.iter().map(|&dy| f64::from(dy)).sum::<f64>() / n;
        let mean_product = dy.iter().zip(&normal).map(|(&dy, x)| f64::from(dy) * x).sum::<f64>() / n;
        dx.extend(dy.iter().zip(&normal).map(|(&dy, x)| rstd * (f64::from(dy) - mean_dy - x * mean_product)));
        y.extend(normal);
    }
    (y, dx)
}

/// `scale·(softmax − onehot)` of each row of logits: the gradient of the summed cross-entropy.
pub fn cross_entropy_gradient(logits: &[f32], targets: &[u32], scale: f64) -> Vec<f64> {
    let vocabulary = logits.len() / targets.len();
    let rows = logits.chunks_exact(vocabulary).zip(targets).flat_map(|(row, &target)| {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exp: Vec<f64> = row.iter().map(|&x| f64::from(x - max).exp()).collect();
        let sum: f64 = exp.iter().sum();
        exp.into_iter().enumerate().map(move |(i, e)| scale * (e / sum - f64::from(u8::from(i == target as usize))))
    });
    rows.collect()
}

/// Causal attention of one sequence: `qkv (time, 3·heads·head_dim)`. The output, and the gradient of `qkv`.
pub fn attention(qkv: &[f32], dy: &[f32], time: usize, heads: usize, head_dim: usize) -> (Vec<f64>, Vec<f64>) {
    let width = heads * head_dim;
    let (mut y, mut dqkv) = (vec![0.; time * width], vec![0.; time * 3 * width]);
    let scale = 1. / (head_dim as f64).sqrt();
    for head in 0..heads {
        let at = |part: usize, t: usize, c: usize| (t * 3 + part) * width + head * head_dim + c;
        let number = |part, t, c| f64::from(qkv[at(part, t, c)]);
        for t in 0..time {
            let score = |s: usize| (0..head_dim).map(|c| number(0, t, c) * number(1, s, c)).sum::<f64>() * scale;
            let scores: Vec<f64> = (0..=t).map(score).collect();
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
            let p: Vec<f64> = scores.iter().map(|s| (s - max).exp() / sum).collect();
            let out = |c: usize| t * width + head * head_dim + c;
            let dp = |s: usize| (0..head_dim).map(|c| f64::from(dy[out(c)]) * number(2, s, c)).sum::<f64>();
            let dp: Vec<f64> = (0..=t).map(dp).collect();
            let dot: f64 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
            for s in 0..=t {
                let ds = p[s] * (dp[s] - dot) * scale;
                for c in 0..head_dim {
                    y[out(c)] += p[s] * number(2, s, c);
                    dqkv[at(0, t, c)] += ds * number(1, s, c);
                    dqkv[at(1, s, c)] += ds * number(0, t, c);
                    dqkv[at(2, s, c)] += p[s] * f64::from(dy[out(c)]);
                }
            }
        }
    }
    (y, dqkv)
}

/// Parameters after one update of AdamW from moments of zero.
pub fn adamw(params: &[f32], grads: &[f32], step: &lora_lab::kernel::AdamwStep) -> Vec<f64> {
    let one = |(&p, &g): (&f32, &f32)| {
        let (p, g) = (f64::from(p), f64::from(g));
        let (m, v) = ((1. - step.beta1) * g, (1. - step.beta2) * g * g);
        let root = (v / step.bias_correction2).sqrt() + step.epsilon;
        p - step.lr * step.weight_decay * p - step.lr * m / step.bias_correction1 / root
    };
    params.iter().zip(grads).map(one).collect()
}
