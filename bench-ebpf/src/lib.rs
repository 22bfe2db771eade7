//! What the benchmark and its programs share.

#![cfg_attr(target_arch = "bpf", no_std)]

pub mod stamped;

/// How many addresses [`address`] tells apart.
pub const ADDRESSES: u32 = 1 << 24;

/// The low 24 bits of the `number`th address: no address twice, and neighbours in number are strangers
/// in address, so that a table is asked for them in no order.
#[inline(always)]
#[must_use]
pub const fn address(number: u32) -> u32 {
    // An odd factor maps the numbers below a power of two onto themselves, one to one.
    number.wrapping_mul(0x9e37_79b1) % ADDRESSES
}

#[cfg(test)]
mod tests {
    use super::{ADDRESSES, address};

    #[test]
    fn no_address_comes_twice() {
        let mut seen = vec![false; ADDRESSES as usize];
        for number in 0..ADDRESSES {
            let seen = &mut seen[address(number) as usize];
            assert!(!*seen, "the address of {number} is another's");
            *seen = true;
        }
    }
}
