//! x86-64's vectors: 512 bits with AVX-512, 256 with AVX2 and FMA, else the 128 that every such processor has.
//!
//! Which they are is known when compiling (`RUSTFLAGS=-C target-cpu=native`). LLVM does make vectors of plain arrays of
//! floats, but not reliably: exp became scalar code, twenty times slower.

use super::Lanes;
use core::arch::x86_64::*;

#[cfg(not(all(target_feature = "avx2", target_feature = "fma")))]
use self::{
    __m128 as Register, _mm_add_ps as add, _mm_castps_si128 as to_integers, _mm_castsi128_ps as to_floats,
    _mm_div_ps as div, _mm_loadu_ps as load, _mm_max_ps as max, _mm_min_ps as min, _mm_mul_ps as mul,
    _mm_set1_ps as splat, _mm_slli_epi32 as shift_left, _mm_sqrt_ps as sqrt, _mm_storeu_ps as store, _mm_sub_ps as sub,
};
#[cfg(all(target_feature = "avx2", target_feature = "fma", not(target_feature = "avx512f")))]
use self::{
    __m256 as Register, _mm256_add_ps as add, _mm256_castps_si256 as to_integers, _mm256_castsi256_ps as to_floats,
    _mm256_div_ps as div, _mm256_loadu_ps as load, _mm256_max_ps as max, _mm256_min_ps as min, _mm256_mul_ps as mul,
    _mm256_set1_ps as splat, _mm256_slli_epi32 as shift_left, _mm256_sqrt_ps as sqrt, _mm256_storeu_ps as store,
    _mm256_sub_ps as sub,
};
#[cfg(target_feature = "avx512f")]
use self::{
    __m512 as Register, _mm512_add_ps as add, _mm512_castps_si512 as to_integers, _mm512_castsi512_ps as to_floats,
    _mm512_div_ps as div, _mm512_loadu_ps as load, _mm512_max_ps as max, _mm512_min_ps as min, _mm512_mul_ps as mul,
    _mm512_set1_ps as splat, _mm512_slli_epi32 as shift_left, _mm512_sqrt_ps as sqrt, _mm512_storeu_ps as store,
    _mm512_sub_ps as sub,
};

/// One register of floats.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Vector(Register);

/// Calls an intrinsic of the register chosen above.
macro_rules! intrinsic {
    ($f:ident($($x:expr),*)) => {
        // SAFETY: it touches no memory, and the build has its instruction, or the `use` above would not name it.
        unsafe { $f($($x),*) }
    };
}

impl Lanes for Vector {
    const LEN: usize = size_of::<Register>() / 4;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self(intrinsic!(splat(x)))
    }
    #[inline(always)]
    unsafe fn load_from(from: *const f32) -> Self {
        // SAFETY: the caller vouches for `LEN` readable floats; the load needs no alignment.
        Self(unsafe { load(from) })
    }
    #[inline(always)]
    unsafe fn store_to(self, to: *mut f32) {
        // SAFETY: the caller vouches for `LEN` writable floats; the store needs no alignment.
        unsafe { store(to, self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(intrinsic!(add(self.0, other.0)))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(intrinsic!(sub(self.0, other.0)))
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(intrinsic!(mul(self.0, other.0)))
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        Self(intrinsic!(div(self.0, other.0)))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(intrinsic!(sqrt(self.0)))
    }
    #[inline(always)]
    fn mul_add(self, x: Self, y: Self) -> Self {
        #[cfg(target_feature = "avx512f")]
        return Self(intrinsic!(_mm512_fmadd_ps(self.0, x.0, y.0)));
        #[cfg(all(target_feature = "avx2", target_feature = "fma", not(target_feature = "avx512f")))]
        return Self(intrinsic!(_mm256_fmadd_ps(self.0, x.0, y.0)));
        #[cfg(not(all(target_feature = "avx2", target_feature = "fma")))]
        return self.mul(x).add(y);
    }
    // The instructions give their second operand if either is NaN.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(intrinsic!(min(other.0, self.0)))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(intrinsic!(max(other.0, self.0)))
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        let bits = intrinsic!(to_integers(self.0));
        // SAFETY: it touches no memory, and the build has the instruction.
        let shifted = unsafe { shift_left::<23>(bits) };
        Self(intrinsic!(to_floats(shifted)))
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        self.fold(|x, y| x + y)
    }
    #[inline(always)]
    fn maximum(self) -> f32 {
        self.fold(f32::max)
    }
}

impl Vector {
    /// Combines the upper half of the lanes with the lower one until one float is left.
    #[inline(always)]
    fn fold(self, f: impl Fn(f32, f32) -> f32) -> f32 {
        let mut xs = [0.; Self::LEN];
        self.store(&mut xs);
        let mut half = Self::LEN / 2;
        while half > 0 {
            for i in 0..half {
                xs[i] = f(xs[i], xs[i + half]);
            }
            half /= 2;
        }
        xs[0]
    }
}
