//! A grain under exercise.

use std::{io, net::TcpStream};

use crate::{
    evidence::step,
    exercise::{BoxError, CommandOutput, Target},
    progress::Task,
};

use super::Grain;

/// A grain under exercise. Each step is marked in the evidence of its view.
pub struct GrainTarget<'a> {
    grain: &'a mut Grain,
    task: Option<&'a Task>,
    on_step: Option<&'a dyn Fn(usize)>,
}

impl<'a> GrainTarget<'a> {
    /// Takes a running grain, and a task that counts steps.
    pub fn new(grain: &'a mut Grain, task: Option<&'a Task>) -> Self {
        GrainTarget { grain, task, on_step: None }
    }

    /// Calls a function with the number of each step, from 1, before uses belong to that.
    #[must_use]
    pub fn with_on_step(self, on_step: &'a dyn Fn(usize)) -> Self {
        GrainTarget { on_step: Some(on_step), ..self }
    }
}

impl Target for GrainTarget<'_> {
    fn connect(&mut self) -> io::Result<TcpStream> {
        self.grain.connect()
    }

    fn restart(&mut self) -> Result<(), BoxError> {
        Ok(self.grain.restart()?)
    }

    fn run(&mut self, command: &[String]) -> Result<CommandOutput, BoxError> {
        Ok(self.grain.exec(command)?)
    }

    fn said(&mut self) -> Vec<String> {
        self.grain.spec().log.heard()
    }

    fn settle(&mut self) {
        if let Some(view) = self.grain.root().view() {
            view.settle();
        }
    }

    fn begin(&mut self, step: usize, what: &str) {
        if let Some(on_step) = self.on_step {
            on_step(step);
        }
        if let Some(view) = self.grain.root().view() {
            // The recipe's own words, which no capture changes: evidence must not differ from run to run.
            view.mark(&step::mark_of(what));
        }
        if let Some(task) = self.task {
            task.now(what);
            task.add(u64::from(step > 1));
        }
    }
}
