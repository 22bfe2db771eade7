//! Words of a frame, wherever they stand.
//!
//! The compiler takes it that the BPF machine cannot read a word that is not aligned, and makes one of
//! bytes. It can where the processor can (`CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS`), which the verifier
//! sees to; there is no way to tell the compiler but assembly. (`+allows-misaligned-mem-access` is for the
//! stack as well, where the verifier refuses it.)

/// A word of this many bytes.
pub trait Word: Copy {
    /// The word at `at`.
    ///
    /// # Safety
    /// `at` must point to so many bytes that may be read.
    unsafe fn load(at: *const u8) -> Self;
    /// Writes the word at `at`.
    ///
    /// # Safety
    /// `at` must point to so many bytes that may be written.
    unsafe fn store(self, at: *mut u8);
}

macro_rules! words {
    ($($word:ident)*) => {$(
        impl Word for $word {
            #[cfg(target_arch = "bpf")]
            #[inline(always)]
            unsafe fn load(at: *const u8) -> Self {
                let word: u64;
                // SAFETY: the caller's promise; nothing else is read or written.
                unsafe {
                    core::arch::asm!(
                        concat!("{word} = *(", stringify!($word), " *)({at} + 0)"),
                        word = out(reg) word, at = in(reg) at,
                        options(pure, readonly, nostack),
                    );
                }
                word as $word
            }

            #[cfg(not(target_arch = "bpf"))]
            #[inline(always)]
            unsafe fn load(at: *const u8) -> Self {
                // SAFETY: the caller's promise.
                unsafe { at.cast::<$word>().read_unaligned() }
            }

            #[cfg(target_arch = "bpf")]
            #[inline(always)]
            unsafe fn store(self, at: *mut u8) {
                // SAFETY: the caller's promise; nothing else is written.
                unsafe {
                    core::arch::asm!(
                        concat!("*(", stringify!($word), " *)({at} + 0) = {word}"),
                        word = in(reg) u64::from(self), at = in(reg) at,
                        options(nostack),
                    );
                }
            }

            #[cfg(not(target_arch = "bpf"))]
            #[inline(always)]
            unsafe fn store(self, at: *mut u8) {
                // SAFETY: the caller's promise.
                unsafe { at.cast::<$word>().write_unaligned(self) }
            }
        }
    )*};
}

words! { u16 u32 u64 }

/// The word at `at`.
///
/// # Safety
/// As [`Word::load`].
#[inline(always)]
pub unsafe fn load<W: Word>(at: *const u8) -> W {
    // SAFETY: the caller's promise.
    unsafe { W::load(at) }
}

/// Writes the word at `at`.
///
/// # Safety
/// As [`Word::store`].
#[inline(always)]
pub unsafe fn store<W: Word>(at: *mut u8, word: W) {
    // SAFETY: the caller's promise.
    unsafe { word.store(at) }
}
