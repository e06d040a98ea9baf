/**
 * Three pieces of PyTorch that explain LoRA, and for each step the Rust that does the same here, quoted from its source; a test
 * compares the quotes with the files. The words about a step are in the tables of www/i18n, under code.<piece>.<step>.
 */

/** Lines of one file that follow one another. @typedef {{ file: string, lines: string[] }} Quote */
/** @typedef {{ name: string, quotes: Quote[] }} ListedStep */
/** @typedef {{ name: string, python: [step: string, line: string][], steps: ListedStep[] }} Piece */

const LORA = "src/nn/lora.rs";
const MODULE = "src/nn/module.rs";
const REPLACE = "src/lora/replace.rs";

/** @type {Piece[]} */
export const PIECES = [
  {
    name: "layer",
    python: [
      ["", "class LoRALayer(nn.Module):"],
      ["sizes", "    def __init__(self, in_dim, out_dim, rank, alpha):"],
      ["", "        super().__init__()"],
      ["a", "        a = torch.empty(in_dim, rank)"],
      ["a", "        nn.init.kaiming_uniform_(a, a=5**0.5)"],
      ["a", "        self.A = nn.Parameter(a)"],
      ["b", "        self.B = nn.Parameter(torch.zeros(rank, out_dim))"],
      ["alpha", "        self.alpha = alpha"],
      ["", ""],
      ["", "    def forward(self, x):"],
      ["forward", "        return self.alpha * (x @ self.A @ self.B)"],
    ],
    steps: [
      {
        name: "sizes",
        quotes: [{ file: LORA, lines: ["    pub fn new(in_dim: usize, out_dim: usize, rank: usize, alpha: f64, rng: &mut Rng) -> Result<Self> {"] }],
      },
      {
        name: "a",
        quotes: [
          { file: LORA, lines: ["        let a = (0..in_dim * rank).map(|_| ((2. * f64::from(rng.uniform()) - 1.) * bound) as f32).collect();"] },
          { file: LORA, lines: ["            a: Var::from_tensor(&Tensor::from_vec::<_, f32>(a, (in_dim, rank), &Device::Cpu)?)?,"] },
        ],
      },
      {
        name: "b",
        quotes: [
          { file: LORA, lines: ["            b: Var::from_tensor(&Tensor::from_vec(vec![0f32; rank * out_dim], (rank, out_dim), &Device::Cpu)?)?,"] },
        ],
      },
      {
        name: "alpha",
        quotes: [{ file: LORA, lines: ["    fn scale(&self) -> f32 {", "        self.scaling as f32 * self.switch.strength()", "    }"] }],
      },
      {
        name: "forward",
        quotes: [
          {
            file: LORA,
            lines: [
              "        let hidden = x.broadcast_matmul(self.a.as_tensor())?;",
              "        Ok((hidden.broadcast_matmul(self.b.as_tensor())? * f64::from(self.scale()))?)",
            ],
          },
        ],
      },
    ],
  },
  {
    name: "linear",
    python: [
      ["", "class LinearWithLoRA(nn.Module):"],
      ["", "    def __init__(self, linear, rank, alpha):"],
      ["", "        super().__init__()"],
      ["base", "        self.linear = linear.requires_grad_(False)"],
      ["lora", "        self.lora = LoRALayer("],
      ["lora", "            linear.in_features, linear.out_features, rank, alpha"],
      ["lora", "        )"],
      ["", ""],
      ["", "    def forward(self, x):"],
      ["sum", "        return self.linear(x) + self.lora(x)"],
    ],
    steps: [
      { name: "base", quotes: [{ file: LORA, lines: ["    linear: Linear,"] }] },
      { name: "lora", quotes: [{ file: LORA, lines: ["    adapters: BTreeMap<String, LoraLayer>,"] }] },
      {
        name: "sum",
        quotes: [
          { file: LORA, lines: ["        let Some(layer) = self.active() else { return self.linear.forward(x) };"] },
          { file: LORA, lines: ["        Ok(lora_linear(x, self.linear.frozen(), layer.a.as_tensor(), layer.b.as_tensor(), layer.scale(), drop)?)"] },
        ],
      },
    ],
  },
  {
    name: "replace",
    python: [
      ["whole", "def replace_linear_with_lora(model, rank, alpha):"],
      ["walk", "    for name, child in model.named_children():"],
      ["swap", "        if isinstance(child, nn.Linear):"],
      ["swap", "            setattr(model, name, LinearWithLoRA(child, rank, alpha))"],
      ["deeper", "        else:"],
      ["deeper", "            replace_linear_with_lora(child, rank, alpha)"],
    ],
    steps: [
      {
        name: "whole",
        quotes: [
          {
            file: REPLACE,
            lines: ["pub fn replace_linear_with_lora(model: &mut dyn NamedChildren, config: &LoraConfig, rng: &mut Rng) -> Result<Adapter> {"],
          },
        ],
      },
      { name: "walk", quotes: [{ file: MODULE, lines: ["        for (name, child) in module.named_children() {"] }] },
      {
        name: "swap",
        quotes: [
          {
            file: REPLACE,
            lines: [
              "    if let AnyLinear::Plain(linear) = place {",
              "        // A clone of a linear layer shares its weights.",
              "        *place = AnyLinear::Lora(LinearWithLora::new(linear.clone(), path));",
              "    }",
            ],
          },
        ],
      },
      { name: "deeper", quotes: [{ file: MODULE, lines: ["                Child::Module(module) => walk(module, &path, f)?,"] }] },
    ],
  },
];
