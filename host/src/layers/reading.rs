//! Layers that somebody copies from: these aren't removed meanwhile, or the copy would lack what has gone by then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::names::Layer;
use crate::pool::lock;

/// How many read each.
#[derive(Clone, Default)]
pub struct Readers(Arc<Mutex<HashMap<Layer, usize>>>);

/// Until it is dropped, its layers stay.
pub struct Reading {
    readers: Readers,
    layers: Vec<Layer>,
}

impl Readers {
    /// Whether the layers are there is to be looked at after this.
    pub fn add(&self, layers: &[Layer]) -> Reading {
        let mut counts = lock(&self.0);
        layers.iter().for_each(|layer| *counts.entry(layer.clone()).or_default() += 1);
        Reading { readers: self.clone(), layers: layers.to_vec() }
    }

    /// Does it where nobody reads the layer, and nobody begins to meanwhile. None where somebody does.
    pub fn without<T>(&self, layer: &Layer, work: impl FnOnce() -> T) -> Option<T> {
        let counts = lock(&self.0);
        (!counts.contains_key(layer)).then(work)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut counts = lock(&self.readers.0);
        for layer in &self.layers {
            if let Some(count) = counts.get_mut(layer) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(layer);
                }
            }
        }
    }
}
