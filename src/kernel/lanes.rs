//! A vector of floats, so that each kernel is written once.
//!
//! The instruction set is chosen at compile time: a wasm module either validates with SIMD or does not load at all, so
//! there is nothing to detect at run time. JavaScript chooses between the builds.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;

#[cfg(target_arch = "x86_64")]
mod x86;

/// The widest lanes of this build.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(super) type Widest = wasm::F32x4;
/// The widest lanes of this build.
#[cfg(target_arch = "x86_64")]
pub(super) type Widest = x86::Vector;
/// The widest lanes of this build.
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128"))))]
pub(super) type Widest = Array<{ if cfg!(target_arch = "wasm32") { 1 } else { 4 } }>;

/// Name of the instruction set compiled in.
pub const LANES: &str = if cfg!(target_feature = "relaxed-simd") {
    "relaxed-simd"
} else if cfg!(target_feature = "simd128") {
    "simd128"
} else if cfg!(target_arch = "wasm32") {
    "scalar"
} else {
    "native"
};

/// The length of the widest vector, of any instruction set: room for a padded tail.
pub(super) const MAX_LEN: usize = 16;

/// `LEN` floats on which one instruction works.
pub(super) trait Lanes: Copy {
    const LEN: usize;

    fn splat(x: f32) -> Self;
    /// # Safety
    /// `LEN` floats are readable from `from` on; it needs no alignment.
    unsafe fn load_from(from: *const f32) -> Self;
    /// # Safety
    /// `LEN` floats are writable from `to` on; it needs no alignment.
    unsafe fn store_to(self, to: *mut f32);
    /// The first `LEN` of `xs`.
    #[inline(always)]
    fn load(xs: &[f32]) -> Self {
        let xs = &xs[..Self::LEN];
        // SAFETY: `xs` has `LEN` floats.
        unsafe { Self::load_from(xs.as_ptr()) }
    }
    /// Into the first `LEN` of `xs`.
    #[inline(always)]
    fn store(self, xs: &mut [f32]) {
        let xs = &mut xs[..Self::LEN];
        // SAFETY: `xs` has `LEN` floats.
        unsafe { self.store_to(xs.as_mut_ptr()) }
    }

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    /// `self · x + y`. Rounded once where the build has a fused instruction, else twice.
    fn mul_add(self, x: Self, y: Self) -> Self;
    /// The smaller; a NaN in `self` stays.
    fn min(self, other: Self) -> Self;
    /// The larger; a NaN in `self` stays.
    fn max(self, other: Self) -> Self;
    /// The bits moved up into the exponent: of a float that holds the whole number `n + 127` in its lowest bits, 2ⁿ; 0
    /// for n = −127, ∞ for n = 128.
    fn power_of_two(self) -> Self;
    /// The sum of all lanes.
    fn sum(self) -> f32;
    /// The largest of all lanes.
    fn maximum(self) -> f32;

    /// At most `LEN` floats; `fill` stands for the missing ones.
    #[inline(always)]
    fn load_partial(xs: &[f32], fill: f32) -> Self {
        let mut padded = [fill; MAX_LEN];
        padded[..xs.len()].copy_from_slice(xs);
        Self::load(&padded)
    }
    /// Only as many lanes as `xs` has room for.
    #[inline(always)]
    fn store_partial(self, xs: &mut [f32]) {
        let mut padded = [0.; MAX_LEN];
        self.store(&mut padded);
        xs.copy_from_slice(&padded[..xs.len()]);
    }
}

/// One float at a time: the reference.
#[cfg(test)]
pub(super) type Scalar = Array<1>;

/// `N` floats as an array: the reference with 1, and with 4 what LLVM turns into the vectors of a target without a
/// module here.
#[cfg(any(test, not(any(target_arch = "x86_64", target_feature = "simd128"))))]
#[derive(Clone, Copy)]
pub(super) struct Array<const N: usize>([f32; N]);

#[cfg(any(test, not(any(target_arch = "x86_64", target_feature = "simd128"))))]
impl<const N: usize> Array<N> {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

#[cfg(any(test, not(any(target_arch = "x86_64", target_feature = "simd128"))))]
impl<const N: usize> Lanes for Array<N> {
    const LEN: usize = N;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; N])
    }
    #[inline(always)]
    unsafe fn load_from(from: *const f32) -> Self {
        // SAFETY: the caller vouches for `N` readable floats; read_unaligned needs no alignment.
        Self(unsafe { from.cast::<[f32; N]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store_to(self, to: *mut f32) {
        // SAFETY: the caller vouches for `N` writable floats; write_unaligned needs no alignment.
        unsafe { to.cast::<[f32; N]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |x, y| x + y)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |x, y| x - y)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |x, y| x * y)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |x, y| x / y)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }
    #[inline(always)]
    fn mul_add(self, x: Self, y: Self) -> Self {
        if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
            Self(std::array::from_fn(|i| self.0[i].mul_add(x.0[i], y.0[i])))
        } else {
            // Without the instruction, f32::mul_add would be a call into libm.
            self.mul(x).add(y)
        }
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |x, y| if y < x { y } else { x })
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |x, y| if x < y { y } else { x })
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        Self(self.0.map(|x| f32::from_bits(x.to_bits() << 23)))
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        // Pairwise, as the vector builds do.
        let mut xs = self.0;
        let mut half = N / 2;
        while half > 0 {
            for i in 0..half {
                xs[i] += xs[i + half];
            }
            half /= 2;
        }
        xs[0]
    }
    #[inline(always)]
    fn maximum(self) -> f32 {
        self.0.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
}
