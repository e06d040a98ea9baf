//! `cargo xtask bench`: every kernel beside candle's own operation, natively, in the shapes of one sequence's training step.
//!
//! A group's name is configuration, kernel and shape: `cargo xtask bench S/GELU` measures those that contain it, as a regular expression.

use criterion::{Criterion, Throughput};
use lora_lab_bench::kernels::{Sizes, cases};
use std::process::ExitCode;
use std::time::Duration;

/// The two configurations that all figures of this project are about.
const CONFIGURATIONS: [(&str, Sizes); 2] = [
    ("S", Sizes { width: 192, heads: 6, time: 128, vocabulary: 1024, rank: 8 }),
    ("M", Sizes { width: 384, heads: 6, time: 128, vocabulary: 4096, rank: 8 }),
];

fn main() -> ExitCode {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .configure_from_args();
    println!("instruction set: {}", lora_lab::kernel::LANES);
    for (configuration, sizes) in CONFIGURATIONS {
        if let Err(error) = measure(&mut criterion, configuration, sizes) {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    criterion.final_summary();
    ExitCode::SUCCESS
}

/// Times the kernels of one configuration. `cases` has compared each with the definition: a wrong one ends the run before anything is timed.
fn measure(criterion: &mut Criterion, configuration: &str, sizes: Sizes) -> Result<(), String> {
    for mut case in cases(sizes).map_err(|error| error.to_string())? {
        let mut group = criterion.benchmark_group(format!("{configuration}/{}, {}", case.name, case.shape));
        // Per second: operations where they are counted, numbers read or written where memory and exp decide.
        group.throughput(Throughput::Elements(if case.flops > 0. { case.flops } else { case.elements } as u64));
        group.bench_function("kernel", |bencher| bencher.iter(|| case.run(1)));
        let mut failed = None;
        group.bench_function("candle", |bencher| bencher.iter(|| failed = case.run_candle(1).err().or(failed.take())));
        group.finish();
        if let Some(error) = failed {
            return Err(format!("candle, {}: {error}", case.name));
        }
    }
    Ok(())
}
