//! What is compiled in by folder: a file that is added must be seen, too.

fn main() {
    println!("cargo::rerun-if-changed=requirements");
    println!("cargo::rerun-if-changed=cases");
}
