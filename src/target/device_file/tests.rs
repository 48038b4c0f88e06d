//! Device files, good and bad.

use std::path::Path;

use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;

const OTHER: &str = include_str!("../../../fixtures/devices/other.toml");

/// A small file that is in order, to be spoilt line by line.
const GOOD: &str = r#"name = "toy"
[[scratch]]
region = 0
offset = 0x100
length = 0x100
[[leave-alone]]
region = 0
offset = 0x40
length = 0x40
[descriptor]
size = 16
[dma-write]
max-length = 4096
fill = "pattern"
steps = [
  { place = "iova", offset = 8, width = 8 },
  { write = "length", region = 0, offset = 0x18, width = 4 },
  { write = 2, region = 0, offset = 0x20, width = 4 },
]
status = { region = 0, offset = 0x24, width = 4, done = 1, failed = 2 }
[dma-read]
max-length = 64
steps = [{ write = "iova.low32", region = 0, offset = 0x10, width = 4 }]
result = { region = 0, offset = 0x1000 }
[raise-irq]
steps = [{ write = "vector", region = 0, offset = 0x28, width = 1 }]
[counter]
register = { region = 0, offset = 0x2c, width = 4 }
raise = { region = 0, offset = 0x30, width = 1, value = 3 }
doorbell = { region = 0, offset = 0x30, size = 1, datamatch = 3 }
[mirror]
register = { region = 0, offset = 0x38, width = 8 }
shows = { region = 1, offset = 0x2000 }
"#;

fn parameter(name: Parameter, part: Option<Part>) -> Operand {
    Operand::Parameter { name, part }
}

fn good() -> DeviceFile {
    DeviceFile::parse("good.toml", GOOD).unwrap()
}

#[test]
fn every_line_of_a_file_is_read() {
    let expected = DeviceFile {
        name: "toy".to_owned(),
        summary: String::new(),
        scratch: vec![Range { region: 0, offset: 0x100, length: 0x100 }],
        leave_alone: vec![Range { region: 0, offset: 0x40, length: 0x40 }],
        dma_write: Some(Action {
            steps: vec![
                Step::Place { value: parameter(Parameter::Iova, None), offset: 8, width: 8 },
                Step::Write { value: parameter(Parameter::Length, None), region: 0, offset: 0x18, width: 4 },
                Step::Write { value: Operand::Integer(2), region: 0, offset: 0x20, width: 4 },
            ],
            status: Some(StatusRegister { region: 0, offset: 0x24, width: 4, done: 1, failed: Some(2) }),
            max_length: 4096,
            fill: Some(Fill::Pattern),
            result: None,
        }),
        dma_read: Some(Action {
            steps: vec![Step::Write {
                value: parameter(Parameter::Iova, Some(Part::Low32)),
                region: 0,
                offset: 0x10,
                width: 4,
            }],
            status: None,
            max_length: 64,
            fill: None,
            result: Some(Location { region: 0, offset: 0x1000 }),
        }),
        raise_irq: Some(Action {
            steps: vec![Step::Write { value: parameter(Parameter::Vector, None), region: 0, offset: 0x28, width: 1 }],
            status: None,
            max_length: 0,
            fill: None,
            result: None,
        }),
        descriptor_size: Some(16),
        counter: Some(Counter {
            register: DeviceRegister { region: 0, offset: 0x2c, width: 4 },
            raise: DeviceRegister { region: 0, offset: 0x30, width: 1 },
            value: 3,
            doorbell: Some(Doorbell { region: 0, offset: 0x30, size: 1, datamatch: Some(3) }),
        }),
        mirror: Some(Mirror {
            register: DeviceRegister { region: 0, offset: 0x38, width: 8 },
            shows: Location { region: 1, offset: 0x2000 },
        }),
        pfn_query: false,
    };
    assert_eq!(good(), expected);
}

#[test]
fn a_name_alone_is_a_device_file() {
    let device = DeviceFile::parse("least.toml", "name = \"least\"").unwrap();
    assert_eq!((device.dma_write, device.dma_read, device.raise_irq), (None, None, None));
    assert_eq!((device.counter, device.mirror), (None, None));
    assert!(device.scratch.is_empty() && device.leave_alone.is_empty() && device.descriptor_size.is_none());
}

#[test]
fn the_bundled_device_is_described() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/devices/conformance.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let device = DeviceFile::parse("conformance.toml", &text).unwrap();
    assert!(!device.scratch.is_empty());
    let write = device.dma_write.unwrap();
    assert!(write.status.is_some() && write.fill.is_some());
    assert!(device.dma_read.is_some() && device.raise_irq.is_some());
    let (counter, mirror) = (device.counter.unwrap(), device.mirror.unwrap());
    assert_eq!((counter.register.offset, counter.raise.offset, mirror.register.offset), (4, 8, 0x38));
    // They stand in ranges to be left alone.
    for register in [counter.register, counter.raise, mirror.register] {
        assert!(device.leave_alone.iter().any(|range| range.contains(register.region, register.offset)));
    }
}

#[test]
fn a_device_that_differs_in_every_respect_is_described() {
    let device = DeviceFile::parse("other.toml", OTHER).unwrap();
    assert_eq!(device.scratch.len(), 3);
    let (write, read, irq) = (device.dma_write.unwrap(), device.dma_read.unwrap(), device.raise_irq.unwrap());
    assert!(write.status.is_none() && read.status.is_none() && irq.status.is_none());
    assert!(write.fill.is_none() && read.result.is_none());
    let ring = Step::Write { value: Operand::Integer(1), region: 2, offset: 0x4c, width: 2 };
    assert_eq!(write.steps.last(), Some(&ring));
    let all = Step::Place { value: Operand::Integer(u64::MAX), offset: 16, width: 8 };
    assert!(write.steps.contains(&all));
    assert_eq!(irq.steps.len(), 1);
}

#[test]
fn the_descriptor_holds_what_the_steps_place() {
    let device = DeviceFile::parse("other.toml", OTHER).unwrap();
    let parameters = Parameters { iova: 0x1122_3344_5566_7788, length: 0x1234, ..Parameters::default() };
    let write = device.descriptor_bytes(device.dma_write.as_ref().unwrap(), &parameters);
    assert_eq!(
        write,
        [
            0x57, 0, 0x34, 0x12, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xff, 0xff, 0xff
        ]
    );
    let read = device.descriptor_bytes(device.dma_read.as_ref().unwrap(), &parameters);
    assert_eq!(
        read,
        [0x52, 0, 0x34, 0x12, 0, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0, 0, 0, 0, 0]
    );
    assert_eq!(device.descriptor_bytes(device.raise_irq.as_ref().unwrap(), &parameters), [0; 24]);
}

#[test]
fn a_device_without_a_descriptor_has_no_bytes_for_it() {
    let mut device = good();
    let write = device.dma_write.clone().unwrap();
    device.descriptor_size = None;
    assert!(device.descriptor_bytes(&write, &Parameters::default()).is_empty());
    // Built by hand, a descriptor may be too small: what does not fit is left out.
    device.descriptor_size = Some(10);
    let parameters = Parameters { iova: 0x0807_0605_0403_0201, ..Parameters::default() };
    assert_eq!(device.descriptor_bytes(&write, &parameters), [0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
}

#[test]
fn each_parameter_and_each_part_has_its_value() {
    let parameters = Parameters { iova: 1, length: 2, pattern: 3, index: 4, vector: 5, descriptor: 6 };
    for ((word, name), expected) in Parameter::ALL.into_iter().zip(1..) {
        assert_eq!(parameter(name, None).value(&parameters), expected, "{word}");
    }
    let wide = Parameters { iova: 0x1122_3344_5566_7788, ..Parameters::default() };
    let part = |part| parameter(Parameter::Iova, Some(part)).value(&wide);
    assert_eq!(part(Part::Low32), 0x5566_7788);
    assert_eq!(part(Part::High32), 0x1122_3344);
    assert_eq!(part(Part::Low16), 0x7788);
    assert_eq!(Operand::Integer(u64::MAX).value(&wide), u64::MAX);
    assert_eq!(parameter(Parameter::Iova, None).bytes(&wide, 2), [0x88, 0x77]);
    assert_eq!(parameter(Parameter::Iova, Some(Part::High32)).bytes(&wide, 8), [0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0]);
}

#[test]
fn only_scratch_may_be_written() {
    let device = DeviceFile::parse("other.toml", OTHER).unwrap();
    for (region, offset, length, expected) in [
        (2, 0x800, 0x40, true),
        (2, 0x83f, 1, true),
        (2, 0x83f, 2, false),
        (2, 0x7ff, 1, false),
        (2, 0x7ff, 2, false),
        (2, 0x840, 1, false),
        (2, 0x840, 0, false),
        (2, 0x800, 0, true),
        (3, 0x800, 1, false),
        // Two ranges that touch.
        (4, 0, 0x2010, true),
        (4, 0x1fff, 2, true),
        (4, 0x2000, 0x11, false),
        (4, 0, u64::MAX, false),
        (4, 1, u64::MAX, false),
        (4, u64::MAX, 1, false),
        // Registers and what is to be left alone.
        (2, 0x40, 4, false),
        (2, 0x1000, 1, false),
    ] {
        assert_eq!(device.may_write(region, offset, length), expected, "{region} {offset:#x} {length:#x}");
    }
}

#[test]
fn leave_alone_wins_in_a_file_that_was_built_by_hand() {
    let mut device = good();
    assert!(device.may_write(0, 0x100, 0x20));
    device.leave_alone.push(Range { region: 0, offset: 0x110, length: 1 });
    assert!(!device.may_write(0, 0x100, 0x20));
    assert!(device.may_write(0, 0x111, 0x20));
}

#[test]
fn each_mistake_is_named_with_its_line_and_what_is_allowed() {
    // What to replace in the good file, by what, the line, the message.
    for (from, to, line, message) in [
        ("name = \"toy\"\n", "", 1, "missing field `name`"),
        ("\"toy\"", "\" \"", 1, "the name is empty"),
        ("\"toy\"", "7", 1, "invalid type: integer `7`, expected a string"),
        ("\"toy\"", "\"toy", 1, "invalid basic string, expected `\"`"),
        (
            "length = 0x100",
            "lenght = 0x100",
            5,
            "unknown field `lenght`, expected one of `region`, `offset`, `length`; did you mean `length`?",
        ),
        (
            "[dma-write]",
            "[dma_write]",
            12,
            "unknown field `dma_write`, expected one of `name`, `summary`, `scratch`, `leave-alone`, `dma-write`, \
             `dma-read`, `raise-irq`, `descriptor`, `counter`, `mirror`, `pfn-query`; did you mean `dma-write`?",
        ),
        ("size = 16", "sizes = 16", 11, "unknown field `sizes`, expected `size`; did you mean `size`?"),
        ("length = 0x100", "length = 0", 5, "the range is empty: length must be at least 1"),
        (
            "length = 0x100",
            "length = 0xffff_ffff_ffff_ffff",
            4,
            "offset 0x100 and length 0xffffffffffffffff together exceed 2^64-1",
        ),
        ("length = 0x100", "length = -1", 5, "invalid value: integer `-1`, expected an integer from 0 to 2^64-1"),
        (
            "length = 0x100",
            "length = \"0x100\"",
            5,
            "invalid type: string \"0x100\", expected an integer from 0 to 2^64-1",
        ),
        (
            "length = 0x100",
            "length = 1.5",
            5,
            "invalid type: floating point `1.5`, expected an integer from 0 to 2^64-1",
        ),
        (
            "region = 0\noffset = 0x100",
            "region = 0x1_0000_0000\noffset = 0x100",
            3,
            "region 4294967296 is too large: an index has 32 bits",
        ),
        (
            "offset = 0x100",
            "offset = 0x7f",
            4,
            "the scratch range 0x7f..0x17f of region 0 shares bytes with the [[leave-alone]] range 0x40..0x80 of region 0",
        ),
        (
            "[[leave-alone]]",
            "[[scratch]]\nregion = 0\noffset = 0x1ff\nlength = 1\n[[leave-alone]]",
            8,
            "the scratch ranges 0x100..0x200 of region 0 and 0x1ff..0x200 of region 0 share bytes",
        ),
        (
            "region = 0, offset = 0x18",
            "region = 0, offset = 0xfd",
            17,
            "a step of [dma-write] writes region 0 at 0xfd, inside the [[scratch]] range 0x100..0x200 of region 0",
        ),
        (
            "offset = 0x28",
            "offset = 0x7f",
            26,
            "a step of [raise-irq] writes region 0 at 0x7f, inside the [[leave-alone]] range 0x40..0x80 of region 0",
        ),
        ("size = 16", "size = 0", 11, "a descriptor of 0 bytes; allowed are 1 to 4096"),
        ("size = 16", "size = 4097", 11, "a descriptor of 4097 bytes; allowed are 1 to 4096"),
        ("max-length = 4096\n", "", 12, "missing field `max-length`"),
        ("max-length = 4096", "max-length = 0", 13, "max-length must be at least 1"),
        (
            "max-length = 4096",
            "max-length = 0x1_0000_0000",
            17,
            "a `length` of up to max-length 0x100000000 does not fit in 4 bytes",
        ),
        ("\"pattern\"", "\"zeros\"", 14, "unknown fill `zeros`; the only one is `pattern`"),
        (
            "\"iova\"",
            "\"iovva\"",
            16,
            "unknown parameter `iovva`, did you mean `iova`?; allowed are iova, length, pattern, descriptor",
        ),
        ("\"iova\"", "\"address\"", 16, "unknown parameter `address`; allowed are iova, length, pattern, descriptor"),
        ("\"vector\"", "\"iova\"", 26, "[raise-irq] has no parameter `iova`; allowed are index, vector, descriptor"),
        (
            "\"iova.low32\"",
            "\"pattern\"",
            23,
            "[dma-read] has no parameter `pattern`; allowed are iova, length, descriptor",
        ),
        (
            "\"iova.low32\"",
            "\"iova.low23\"",
            23,
            "unknown part `low23`, did you mean `low32`?; allowed are low32, high32, low16",
        ),
        ("\"iova.low32\"", "\"iova.\"", 23, "unknown part ``; allowed are low32, high32, low16"),
        ("\"iova.low32\"", "\"iova.low32.low16\"", 23, "unknown part `low32.low16`; allowed are low32, high32, low16"),
        (
            "\"iova.low32\"",
            "\"iova\"",
            23,
            "`iova` has 8 bytes, the step 4; write its parts, such as `.low32` and `.high32`",
        ),
        ("\"vector\"", "\"vector.low16\"", 26, "`vector.low16` has 2 bytes, the step 1"),
        (
            "\"vector\"",
            "true",
            26,
            "invalid type: boolean `true`, expected an integer from 0 to 2^64-1, or a parameter in quotes",
        ),
        (
            "\"vector\"",
            "-1",
            26,
            "invalid value: integer `-1`, expected an integer from 0 to 2^64-1, or a parameter in quotes",
        ),
        ("\"vector\"", "256", 26, "0x100 does not fit in 1 byte"),
        ("offset = 0x28, width = 1", "offset = 0x28, width = 3", 26, "a width of 3 bytes; allowed are 1, 2, 4 and 8"),
        ("offset = 0x28, width = 1", "offset = 0x28", 26, "missing field `width`"),
        (
            "offset = 0x28, width = 1",
            "offset = 0xffff_ffff_ffff_ffff, width = 1",
            26,
            "offset 0xffffffffffffffff and width 0x1 together exceed 2^64-1",
        ),
        ("write = 2, ", "", 18, "a step needs `write`, a register write, or `place`, bytes in the descriptor"),
        (
            "write = 2, ",
            "write = 2, place = 2, ",
            18,
            "a step is either a register write, `write`, or bytes in the descriptor, `place`",
        ),
        ("write = 2, region = 0", "write = 2", 18, "a register write needs a `region`"),
        (
            "place = \"iova\"",
            "place = \"iova\", region = 0",
            16,
            "`place` has no `region`: it puts bytes into the descriptor",
        ),
        (
            "place = \"iova\", offset = 8",
            "place = \"iova\", offset = 9",
            16,
            "8 bytes at 0x9 reach past the descriptor's 16 bytes",
        ),
        ("[descriptor]\nsize = 16\n", "", 14, "`place` puts bytes into the descriptor, and there is no [descriptor]"),
        (
            "steps = [{ write = \"vector\", region = 0, offset = 0x28, width = 1 }]",
            "steps = []",
            26,
            "[raise-irq] has no steps: at least one is needed",
        ),
        ("[raise-irq]", "[raise-irq]\nmax-length = 1", 26, "unknown field `max-length`, expected `steps` or `status`"),
        ("done = 1, failed = 2", "done = 2, failed = 2", 20, "done and failed are both 2: they must differ"),
        ("done = 1, failed = 2", "done = 0x1_0000_0000", 20, "0x100000000 does not fit in 4 bytes"),
        ("done = 1, failed = 2", "failed = 2", 20, "missing field `done`"),
        (
            "offset = 0x1000",
            "offset = 0xffff_ffff_ffff_ffff",
            24,
            "offset 0xffffffffffffffff and max-length 0x40 together exceed 2^64-1",
        ),
        (
            "[counter]",
            "[conter]",
            27,
            "unknown field `conter`, expected one of `name`, `summary`, `scratch`, \
             `leave-alone`, `dma-write`, `dma-read`, `raise-irq`, `descriptor`, `counter`, `mirror`, `pfn-query`; did you mean `counter`?",
        ),
        ("0x2c, width = 4", "0x2c, width = 5", 28, "a width of 5 bytes; allowed are 1, 2, 4 and 8"),
        (
            "0x2c, width = 4",
            "0xffff_ffff_ffff_fffd, width = 4",
            28,
            "offset 0xfffffffffffffffd and width 0x4 together exceed 2^64-1",
        ),
        (
            "0x2c, width = 4",
            "0xfd, width = 4",
            28,
            "the register of [counter] stands in region 0 at 0xfd, inside the [[scratch]] range 0x100..0x200 of region 0",
        ),
        ("0x2c, width = 4", "0x2c", 28, "missing field `width`"),
        ("raise = { region = 0, offset = 0x30, width = 1, value = 3 }\n", "", 27, "missing field `raise`"),
        ("0x30, width = 1", "0x30, width = 0", 29, "a width of 0 bytes; allowed are 1, 2, 4 and 8"),
        (
            "0x30, width = 1",
            "0xffff_ffff_ffff_ffff, width = 1",
            29,
            "offset 0xffffffffffffffff and width 0x1 together exceed 2^64-1",
        ),
        (
            "0x30, width = 1",
            "0x1ff, width = 1",
            29,
            "the register that raises the [counter] stands in region 0 at 0x1ff, inside the [[scratch]] range \
             0x100..0x200 of region 0",
        ),
        ("value = 3", "value = 256", 29, "0x100 does not fit in 1 byte"),
        ("value = 3", "value = -3", 29, "invalid value: integer `-3`, expected an integer from 0 to 2^64-1"),
        (", value = 3", "", 29, "missing field `value`"),
        (
            "value = 3",
            "valeu = 3",
            29,
            "unknown field `valeu`, expected one of `region`, `offset`, `width`, `value`; did you mean `value`?",
        ),
        ("size = 1, datamatch = 3", "size = 3, datamatch = 3", 30, "a size of 3 bytes; allowed are 0, 1, 2, 4 and 8"),
        ("size = 1, datamatch = 3", "size = 0, datamatch = 3", 30, "a doorbell of any size cannot have a `datamatch`"),
        ("datamatch = 3", "datamatch = 256", 30, "0x100 does not fit in 1 byte"),
        (
            "0x30, size = 1, datamatch = 3",
            "0xffff_ffff_ffff_ffff, size = 1",
            30,
            "offset 0xffffffffffffffff and size 0x1 together exceed 2^64-1",
        ),
        ("0x38, width = 8", "0x38, width = 16", 32, "a width of 16 bytes; allowed are 1, 2, 4 and 8"),
        (
            "0x38, width = 8",
            "0x1f8, width = 8",
            32,
            "the register of [mirror] stands in region 0 at 0x1f8, inside the [[scratch]] range 0x100..0x200 of region 0",
        ),
        ("shows = { region = 1, offset = 0x2000 }\n", "", 31, "missing field `shows`"),
        ("offset = 0x2000", "offset = 0x2000, width = 8", 33, "unknown field `width`, expected `region` or `offset`"),
        (
            "offset = 0x2000",
            "offset = 0xffff_ffff_ffff_fff8",
            33,
            "offset 0xfffffffffffffff8 and width 0x8 together exceed 2^64-1",
        ),
        (
            "region = 1, offset = 0x2000",
            "region = 0, offset = 0x31",
            33,
            "the register of [mirror] shows bytes of itself",
        ),
        (
            "region = 1, offset = 0x2000",
            "region = 0, offset = 0x7f",
            33,
            "the bytes that [mirror] shows, 0x7f..0x87 of region 0, share bytes with the [[leave-alone]] range \
             0x40..0x80 of region 0",
        ),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let error = DeviceFile::parse("bad.toml", &GOOD.replacen(from, to, 1)).unwrap_err();
        assert_eq!((error.file.as_str(), error.line, error.message.as_str()), ("bad.toml", line, message), "{to}");
        assert_eq!(error.to_string(), format!("bad.toml:{line}: {message}"));
    }
}

#[test]
fn the_parameter_descriptor_needs_a_descriptor() {
    let text = "name = \"x\"\n[raise-irq]\nsteps = [{ write = \"descriptor\", region = 0, offset = 0, width = 8 }]\n";
    let error = DeviceFile::parse("bad.toml", text).unwrap_err();
    assert_eq!(error.to_string(), "bad.toml:3: the parameter `descriptor` needs a [descriptor]");
    assert!(DeviceFile::parse("good.toml", &format!("{text}[descriptor]\nsize = 1\n")).is_ok());
}

#[test]
fn a_status_register_may_have_no_value_for_failure_and_may_stand_where_nothing_is_written() {
    let text = GOOD.replace(", failed = 2", "").replace("offset = 0x24", "offset = 0x44");
    let status = DeviceFile::parse("good.toml", &text).unwrap().dma_write.unwrap().status.unwrap();
    assert_eq!((status.offset, status.failed), (0x44, None));
}

#[test]
fn counter_and_mirror_may_stand_where_nothing_else_is_written() {
    let text = GOOD.replace("0x2c, width", "0x44, width").replace("0x30, width", "0x48, width");
    let text =
        text.replace("0x38, width", "0x50, width").replace("region = 1, offset = 0x2000", "region = 0, offset = 0x100");
    let device = DeviceFile::parse("good.toml", &text).unwrap();
    assert_eq!(device.counter.unwrap().raise.offset, 0x48);
    // What the mirror shows may be scratch: it reads back what was written.
    let mirror = device.mirror.unwrap();
    assert_eq!((mirror.register.offset, mirror.shows.offset), (0x50, 0x100));
}

#[test]
fn the_examples_of_the_documentation_are_device_files() {
    let manual = include_str!("../../../docs/device-file.md");
    let examples: Vec<&str> = manual.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 5);
    for example in examples {
        let name = if example.contains("name = ") { "" } else { "name = \"an example\"\n" };
        let device = DeviceFile::parse("device-file.md", &format!("{name}{example}")).unwrap();
        consistent(&device);
    }
}

#[test]
fn nesting_ends_in_an_error_and_not_in_a_full_stack() {
    for open in ["[", "{a="] {
        let text = format!("name = {}", open.repeat(100_000));
        assert!(DeviceFile::parse("deep.toml", &text).is_err());
    }
}

/// What holds of every file that parses.
fn consistent(device: &DeviceFile) {
    for range in device.scratch.iter().chain(&device.leave_alone) {
        assert!(range.length > 0 && range.offset.checked_add(range.length).is_some());
    }
    for range in &device.scratch {
        assert!(device.may_write(range.region, range.offset, range.length));
        assert!(device.may_write(range.region, range.end() - 1, 1));
    }
    for range in &device.leave_alone {
        assert!(
            !device.may_write(range.region, range.offset, 1) && !device.may_write(range.region, range.end() - 1, 1)
        );
    }
    consistent_registers(device);
    let ones = u64::MAX;
    let parameters =
        Parameters { iova: ones, length: ones, pattern: ones, index: ones, vector: ones, descriptor: ones };
    for action in [&device.dma_write, &device.dma_read, &device.raise_irq].into_iter().flatten() {
        assert!(!action.steps.is_empty());
        assert_eq!(device.descriptor_bytes(action, &parameters).len(), device.descriptor_size.unwrap_or(0));
        for step in &action.steps {
            match step {
                Step::Write { value, region, offset, width } => {
                    assert_eq!(value.bytes(&parameters, *width).len(), *width as usize);
                    for byte in 0..u64::from(*width) {
                        assert!(!device.may_write(*region, offset + byte, 1));
                    }
                }
                Step::Place { offset, width, .. } => {
                    assert!(offset + u64::from(*width) <= device.descriptor_size.unwrap() as u64);
                }
            }
        }
    }
}

/// What holds of the registers beside the actions.
fn consistent_registers(device: &DeviceFile) {
    let counter = device.counter.map(|counter| [counter.register, counter.raise]);
    let mirror = device.mirror.map(|mirror| mirror.register);
    for register in counter.into_iter().flatten().chain(mirror) {
        assert!(matches!(register.width, 1 | 2 | 4 | 8));
        for byte in 0..u64::from(register.width) {
            assert!(!device.may_write(register.region, register.offset + byte, 1));
        }
    }
    if let Some(Counter { raise, value, .. }) = device.counter {
        assert!(raise.width == 8 || value < 1 << (raise.width * 8));
    }
    if let Some(Mirror { register, shows }) = device.mirror {
        let shown = Range { region: shows.region, offset: shows.offset, length: u64::from(register.width) };
        assert!(shown.offset.checked_add(shown.length).is_some());
        for range in &device.leave_alone {
            assert!(!range.intersects(shown.region, shown.offset, shown.length));
        }
    }
}

/// A piece of a device file, to be put anywhere.
fn token() -> impl Strategy<Value = String> {
    let words = [
        "name",
        "summary",
        "scratch",
        "leave-alone",
        "dma-write",
        "dma-read",
        "raise-irq",
        "descriptor",
        "counter",
        "mirror",
        "register",
        "raise",
        "doorbell",
        "datamatch",
        "shows",
        "value",
        "steps",
        "write",
        "place",
        "region",
        "offset",
        "width",
        "length",
        "size",
        "status",
        "result",
        "done",
        "failed",
        "fill",
        "max-length",
        "\"iova\"",
        "\"pattern\"",
        "\"vector\"",
        "\"descriptor.low32\"",
        "\"iova.",
        "[[",
        "]]",
        "[",
        "]",
        "{",
        "}",
        "=",
        ",",
        "\n",
        " ",
        "0",
        "1",
        "8",
        "-1",
        "0x100",
        "0xffffffffffffffff",
        "18446744073709551616",
        "1e400",
        "nan",
        "true",
        "\"",
        "'",
        "\"\"\"",
        "#",
        "\\",
        "\u{0}",
        "\u{e9}",
    ];
    proptest::sample::select(words.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_is_a_device_file_or_not(text in any::<String>()) {
        if let Ok(device) = DeviceFile::parse("any.toml", &text) {
            consistent(&device);
        }
    }

    #[test]
    fn tokens_in_any_order_are_a_device_file_or_not(tokens in proptest::collection::vec(token(), 0..40)) {
        let text = tokens.concat();
        match DeviceFile::parse("any.toml", &text) {
            Ok(device) => consistent(&device),
            Err(error) => prop_assert!(error.line >= 1 && error.line <= text.matches('\n').count() + 1),
        }
    }

    #[test]
    fn a_file_with_a_few_changes_is_consistent_or_refused(
        file in proptest::sample::select(vec![GOOD, OTHER]),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), 0..12usize, token()), 1..4),
    ) {
        let mut text: Vec<char> = file.chars().collect();
        for (at, removed, token) in changes {
            let at = at.index(text.len() + 1);
            let end = text.len().min(at + removed);
            text.splice(at..end, token.chars());
        }
        let text: String = text.into_iter().collect();
        match DeviceFile::parse("any.toml", &text) {
            Ok(device) => consistent(&device),
            Err(error) => prop_assert!(error.line >= 1 && error.line <= text.matches('\n').count() + 1),
        }
    }

    #[test]
    fn a_file_with_other_numbers_is_consistent_or_refused(
        file in proptest::sample::select(vec![GOOD, OTHER]),
        numbers in proptest::collection::vec(prop_oneof![4 => 0..0x300u64, 1 => Just(u64::MAX), 1 => any::<u64>()], 1..3),
        places in proptest::collection::vec(any::<proptest::sample::Index>(), 3),
    ) {
        // Every run of hex digits behind `= ` is a number.
        let mut pieces: Vec<String> = file.split("= ").map(str::to_owned).collect();
        let numeric: Vec<usize> =
            (1..pieces.len()).filter(|piece| pieces[*piece].starts_with(|first: char| first.is_ascii_digit())).collect();
        for (number, place) in numbers.iter().zip(places) {
            let piece = &mut pieces[numeric[place.index(numeric.len())]];
            let rest = piece.trim_start_matches(|next: char| next.is_ascii_hexdigit() || next == 'x' || next == '_');
            *piece = format!("{number}{rest}");
        }
        if let Ok(device) = DeviceFile::parse("any.toml", &pieces.join("= ")) {
            consistent(&device);
        }
    }
}
