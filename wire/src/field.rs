//! The table of fields of a message, and reading and writing bytes by it.

/// A named bit of a flags field, or a named value of some of its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bit {
    /// The name that cases and transcripts use.
    pub name: &'static str,
    /// The bits that say it.
    pub mask: u64,
    /// What they say then.
    pub value: u64,
}

impl Bit {
    /// Whether a field of this value says so.
    pub fn is_in(&self, value: u64) -> bool {
        value & self.mask == self.value
    }

    /// It is no other name for bits that have names of their own, such as `rw`.
    pub fn is_single(&self) -> bool {
        self.mask.count_ones() == 1 || self.mask != self.value
    }
}

/// One field of a [`Layout`]: an unsigned integer in host byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name of the specification's table.
    pub name: &'static str,
    /// Bytes from the start of the layout.
    pub offset: usize,
    /// Width in bytes: 1, 2, 4 or 8.
    pub width: usize,
    /// What it says, units included.
    pub meaning: &'static str,
    /// Its named bits and values; empty for a plain number.
    pub bits: &'static [Bit],
}

impl Field {
    /// The largest value that the field can hold.
    pub fn max(&self) -> u64 {
        if self.width >= 8 { u64::MAX } else { (1 << (self.width * 8)) - 1 }
    }

    /// The value that these names of its bits make together; the first name that is none of them where there is one.
    pub fn named<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<u64, &'n str> {
        names.into_iter().try_fold(0, |value, name| {
            self.bits.iter().find(|bit| bit.name == name).map(|bit| value | bit.value).ok_or(name)
        })
    }

    /// The field's value in `bytes`, which start where the layout starts; `None` where they end before the field does.
    pub fn read(&self, bytes: &[u8]) -> Option<u64> {
        let bytes = bytes.get(self.offset..self.offset + self.width)?;
        let mut wide = [0u8; 8];
        if cfg!(target_endian = "little") {
            wide[..self.width].copy_from_slice(bytes);
        } else {
            wide[8 - self.width..].copy_from_slice(bytes);
        }
        Some(u64::from_ne_bytes(wide))
    }

    /// Writes `value`, truncated to the field's width, as far as `bytes` reach.
    pub fn write(&self, bytes: &mut [u8], value: u64) {
        let wide = value.to_ne_bytes();
        let narrow = if cfg!(target_endian = "little") { &wide[..self.width] } else { &wide[8 - self.width..] };
        for (to, from) in bytes.iter_mut().skip(self.offset).zip(narrow) {
            *to = *from;
        }
    }
}

/// The fixed part of a payload: its fields in the order of the specification's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The struct's name.
    pub name: &'static str,
    /// Bytes in all.
    pub size: usize,
    /// The fields, by offset.
    pub fields: &'static [Field],
}

impl Layout {
    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// What may follow the fixed part of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// Nothing.
    None,
    /// Bytes of data, as many as another field says.
    Data,
    /// NUL-terminated JSON (VERSION).
    Json,
    /// A chain of VFIO capabilities (DEVICE_GET_REGION_INFO).
    Capabilities,
    /// One boolean byte per sub-index (DEVICE_SET_IRQS with DATA_BOOL).
    Bools,
    /// Sub-regions (DEVICE_GET_REGION_IO_FDS).
    SubRegions,
    /// Writes (REGION_WRITE_MULTI).
    Writes,
    /// What the feature says (DEVICE_FEATURE), or nobody knows.
    Feature,
    /// Ranges of IOVAs (DMA_LOGGING_START).
    Ranges,
    /// One bit per page, in whole u64s (DMA_LOGGING_REPORT, and DMA_UNMAP of 0.9.1).
    Bitmap,
    /// Bytes that the wide layout of a range has and nobody uses, or nothing (DIRTY_PAGES of 0.9.1).
    Unused,
    /// One bit per page, in whole u64s, behind such unused bytes or not (DIRTY_PAGES of 0.9.1).
    RangeBitmap,
    /// More entries like the one in the fixed part (DMA_MAP, DMA_UNMAP and DIRTY_PAGES of version 8).
    Entries,
    /// The bitmap that the fixed part tells of, and more bitmaps, each behind its own structure (DMA_UNMAP and
    /// DIRTY_PAGES of version 8).
    Bitmaps,
}

/// The payload of a request or of a successful reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body {
    /// The fixed part; `None` where there is no payload.
    pub fixed: Option<&'static Layout>,
    /// What may follow it.
    pub tail: Tail,
}

impl Body {
    /// No payload at all.
    pub const EMPTY: Body = Body { fixed: None, tail: Tail::None };

    /// A payload of just the fixed part.
    pub const fn fixed(layout: &'static Layout) -> Body {
        Body { fixed: Some(layout), tail: Tail::None }
    }

    /// A payload of a fixed part and what may follow it.
    pub const fn with_tail(layout: &'static Layout, tail: Tail) -> Body {
        Body { fixed: Some(layout), tail }
    }

    /// Bytes of the fixed part.
    pub fn fixed_size(&self) -> usize {
        self.fixed.map_or(0, |layout| layout.size)
    }

    /// Reads as many fields as `payload` holds.
    pub fn decode<'a>(&self, payload: &'a [u8]) -> Decoded<'a> {
        let Some(layout) = self.fixed else {
            return Decoded { fields: Vec::new(), tail: payload, short: false };
        };
        let fields = layout
            .fields
            .iter()
            .map_while(|field| field.read(payload).map(|value| DecodedField { field, value }))
            .collect();
        Decoded { fields, tail: payload.get(layout.size..).unwrap_or_default(), short: payload.len() < layout.size }
    }
}

/// A field and the value it has in a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodedField {
    /// The field.
    pub field: &'static Field,
    /// Its value.
    pub value: u64,
}

/// A payload read by its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The fields that were there, in order.
    pub fields: Vec<DecodedField>,
    /// What follows the fixed part.
    pub tail: &'a [u8],
    /// The payload ends before the fixed part does.
    pub short: bool,
}

impl Decoded<'_> {
    /// The value of the field of that name, if the payload reaches it.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.fields.iter().find(|decoded| decoded.field.name == name).map(|decoded| decoded.value)
    }
}

/// Who may send a command (specification 365-392).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Client to server.
    ToServer,
    /// Server to client.
    ToClient,
}

/// Payloads that a command and its reply have for some of its `flags`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// The bits of `flags` that choose it.
    pub mask: u64,
    /// What they say then.
    pub flags: u64,
    /// The payload of the request.
    pub request: Body,
    /// The payload of a successful reply.
    pub reply: Body,
}

/// A command and its reply, declared once; which number it has is the [`Dialect`](crate::Dialect)'s to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// The specification's name without its VFIO_USER_ prefix.
    pub name: &'static str,
    /// Who sends the command.
    pub direction: Direction,
    /// The command's payload.
    pub request: Body,
    /// The payload of a successful reply.
    pub reply: Body,
    /// Other payloads that it has where its `flags` ask for them.
    pub variants: &'static [Variant],
    /// Section and lines of specification 0.9.2, or of the text that it names.
    pub clause: &'static str,
}

impl Message {
    /// The same message as another text has it.
    pub const fn in_text(self, clause: &'static str) -> Message {
        Message { clause, ..self }
    }

    /// The body of a request that begins like this.
    pub fn request_of(&self, payload: &[u8]) -> Body {
        self.variant(payload).map_or(self.request, |variant| variant.request)
    }

    /// The body of the successful reply to a request that begins like this.
    pub fn reply_of(&self, payload: &[u8]) -> Body {
        self.variant(payload).map_or(self.reply, |variant| variant.reply)
    }

    fn variant(&self, payload: &[u8]) -> Option<&Variant> {
        if self.variants.is_empty() {
            return None;
        }
        let flags = self.request.fixed?.field("flags")?.read(payload)?;
        self.variants.iter().find(|variant| flags & variant.mask == variant.flags)
    }
}

/// Declares a packed struct of unsigned integers, asserts its size and every offset, and gives it a [`Layout`]. A bit's
/// name stands for its value, or, with `of`, for that value of the bits of a mask.
///
/// ```
/// vfio_user_wire::layout! {
///     /// A toy.
///     pub struct Toy: 8 {
///         /// Bytes of this structure.
///         argsz: u32 @ 0,
///         /// How it behaves.
///         flags: u32 @ 4 { loud = 1, quick = 2, red = 0x10 of 0xf0, blue = 0x30 of 0xf0 },
///     }
/// }
/// assert_eq!(Toy::LAYOUT.field("flags").map(|field| field.offset), Some(4));
/// ```
#[macro_export]
macro_rules! layout {
    (@bit $bit:ident $value:literal) => {
        $crate::Bit { name: stringify!($bit), mask: $value, value: $value }
    };
    (@bit $bit:ident $value:literal of $mask:literal) => {
        $crate::Bit { name: stringify!($bit), mask: $mask, value: $value }
    };
    (
        $(#[doc = $about:expr])+
        pub struct $name:ident : $size:literal {
            $(
                $(#[doc = $meaning:expr])+
                $field:ident : $type:ident @ $offset:literal
                    $({ $($bit:ident = $value:literal $(of $mask:literal)?),+ $(,)? })?
            ),+ $(,)?
        }
    ) => {
        $(#[doc = $about])+
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq,
            $crate::zerocopy::FromBytes, $crate::zerocopy::IntoBytes,
            $crate::zerocopy::KnownLayout, $crate::zerocopy::Immutable, $crate::zerocopy::Unaligned,
        )]
        #[zerocopy(crate = "vfio_user_wire::zerocopy")]
        #[repr(C, packed)]
        pub struct $name {
            $($(#[doc = $meaning])+ pub $field: $type,)+
        }

        const _: () = {
            assert!(size_of::<$name>() == $size, "size differs from the table");
            $(assert!(::core::mem::offset_of!($name, $field) == $offset, "offset differs from the table");)+
        };

        impl $name {
            /// The table of its fields.
            pub const LAYOUT: $crate::Layout = $crate::Layout {
                name: stringify!($name),
                size: $size,
                fields: &[$($crate::Field {
                    name: stringify!($field),
                    offset: $offset,
                    width: size_of::<$type>(),
                    meaning: concat!($($meaning),+).trim_ascii(),
                    bits: &[$($($crate::layout!(@bit $bit $value $(of $mask)?)),+)?],
                }),+],
            };

            /// The struct at the start of `bytes`, whatever their alignment, and what follows it; `None` where they
            /// are too few.
            pub fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
                $crate::zerocopy::FromBytes::read_from_prefix(bytes).ok()
            }

            /// Its bytes, in host order.
            pub fn bytes(&self) -> &[u8] {
                $crate::zerocopy::IntoBytes::as_bytes(self)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::{Bit, Field};

    const READ: Bit = Bit { name: "read", mask: 1, value: 1 };
    const BOTH: Bit = Bit { name: "rw", mask: 3, value: 3 };
    /// One value of several bits: none of them says it by itself.
    const STOPPED: Bit = Bit { name: "stopped", mask: 7, value: 2 };
    const FLAGS: Field = Field { name: "flags", offset: 0, width: 4, meaning: "", bits: &[READ, BOTH, STOPPED] };

    #[test]
    fn bits_and_values_of_bits_say_what_they_say() {
        assert!(READ.is_in(5) && !READ.is_in(4) && BOTH.is_in(7) && !BOTH.is_in(5));
        assert!(STOPPED.is_in(0xa) && !STOPPED.is_in(3));
        assert!(READ.is_single() && STOPPED.is_single() && !BOTH.is_single());
        assert_eq!((FLAGS.named(["read", "rw"]), FLAGS.named(["read", "write"])), (Ok(3), Err("write")));
    }
}
