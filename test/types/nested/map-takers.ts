/** Every exported function that takes a linear map or a tensor product, with its type and a mistake that must not compile. */
import { fill, type Taker } from "./calls.ts";

/** The call, its type, and the call with a mistake in it or the spaces of an argument that it refuses. */
type Row = readonly [call: string, type: string, mistake: string | { readonly of: string }];

const takersOf = (of: string, rows: Record<string, Row>): Taker[] =>
  Object.entries(rows).map(([name, [call, type, mistake]]) => ({
    ...{ name, of, type },
    call: fill(call),
    mistake: typeof mistake === "string" ? fill(mistake) : mistake,
  }));

const same = 'Linear<"d_vocab", "d_model">';
const dense = 'Tensor<"d_vocab d_model">';

export const mapTakers: readonly Taker[] = [
  ...takersOf("d_vocab d_model", {
    "compose, first": [
      'compose(_, mapping<"d_model", "a">())',
      'Linear<"d_vocab", "a">',
      'compose(_, mapping<"a", "b">())',
    ],
    "compose, second": [
      'compose(mapping<"a", "d_vocab">(), _)',
      'Linear<"a", "d_model">',
      'compose(mapping<"a", "b">(), _)',
    ],
    "compose, third": [
      'compose(mapping<"a", "b">(), mapping<"b", "d_vocab">(), _)',
      'Linear<"a", "d_model">',
      'compose(mapping<"a", "b">(), mapping<"b", "c">(), _)',
    ],
    "compose, in the middle": [
      'compose(mapping<"a", "d_vocab">(), _, mapping<"d_model", "b">(), mapping<"b", "c">())',
      'Linear<"a", "c">',
      'compose(mapping<"a", "d_vocab">(), _, mapping<"b", "b">(), mapping<"b", "c">())',
    ],
    "compose, fifth and sixth": [
      'compose(mapping<"a", "a">(), mapping<"a", "a">(), mapping<"a", "a">(), mapping<"a", "d_vocab">(), _, mapping<"d_model", "b">())',
      'Linear<"a", "b">',
      'compose(mapping<"a", "a">(), mapping<"a", "a">(), mapping<"a", "a">(), mapping<"a", "a">(), _, mapping<"d_model", "b">())',
    ],
    "compose, with a form and its transpose": [
      'compose(_, mapping<"d_model", "d_model*">(), transpose(_))',
      'Linear<"d_vocab", "d_vocab*">',
      'compose(_, mapping<"d_model", "d_model*">(), _)',
    ],
    transpose: ["transpose(_)", 'Linear<"d_model*", "d_vocab*">', "compose(_, transpose(_))"],
    "transpose, twice": ["transpose(transpose(_))", same, "compose(transpose(transpose(_)), _)"],
    addMaps: ["addMaps(_, _)", same, "addMaps(_, transpose(_))"],
    subtractMaps: ["subtractMaps(_, _)", same, "subtractMaps(_, transpose(_))"],
    sumMaps: ["sumMaps([_, _])", same, "sumMaps([_, transpose(_)])"],
    scaleMap: ["scaleMap(_, 2)", same, "compose(scaleMap(_, 2), _)"],
    restrict: ["restrict(_, { rows: [0] })", same, "compose(restrict(_, { rows: [0] }), _)"],
    toDense: ["toDense(_)", dense, 'toDense(_).sizeOf("pos")'],
    rowsOf: ["rowsOf(_, [0])", dense, 'rowsOf(_, [0]).sizeOf("pos")'],
    "applyMap, second operand": [
      'applyMap(given<"pos d_vocab">(), _)',
      'Tensor<"pos d_model">',
      'applyMap(given<"pos d_model">(), _)',
    ],
    topKPerRow: ["topKPerRow(_, 1)", 'TopK<"d_vocab">', 'topKPerRow(_, 1).values.sizeOf("d_model")'],
    rowStatistics: ["rowStatistics(_)", 'MapStatistics<"d_vocab">', 'rowStatistics(_).mean.sizeOf("d_model")'],
    readSpaceOf: ["readSpaceOf(_)", 'Tensor<"d_vocab component">', "principalAngles(readSpaceOf(_), writeSpaceOf(_))"],
    writeSpaceOf: [
      "writeSpaceOf(_)",
      'Tensor<"d_model component">',
      "principalAngles(writeSpaceOf(_), readSpaceOf(_))",
    ],
    svdOf: ["svdOf(_)", 'MapSVD<"d_vocab", "d_model">', 'svdOf(_).U.sizeOf("d_model")'],
    singularValuesOf: ["singularValuesOf(_)", 'Tensor<"component">', "singularValuesOf([_])"],
    frobeniusNormOf: ["frobeniusNormOf(_)", "number", "frobeniusNormOf([_])"],
    entryOf: ["entryOf(_, 0, 0)", "number", "entryOf([_], 0, 0)"],
    topKOfRow: ["topKOfRow(_, 0, 1)", "MapEntry[]", "topKOfRow([_], 0, 1)"],
    topKOverall: ["topKOverall(_, 1)", "MapEntry[]", "topKOverall([_], 1)"],
    compositionOfMaps: [
      'compositionOfMaps([_], [mapping<"d_model", "a">()])',
      'Tensor<"writer reader">',
      'compositionOfMaps([_], [mapping<"a", "d_model">()])',
    ],
    "compositionOfMaps, writers to several spaces": [
      'compositionOfMaps([_, _], [mapping<"d_model", "a">()])',
      'Tensor<"writer reader">',
      'compositionOfMaps([_, mapping<"a", "b">()], [mapping<"d_model", "a">()])',
    ],
    "compositionOfMaps, readers": [
      'compositionOfMaps([mapping<"a", "d_vocab">()], [_])',
      'Tensor<"writer reader">',
      'compositionOfMaps([mapping<"a", "b">()], [_])',
    ],
    onFeatures: [
      "onFeatures(_)",
      'TensorProduct<"d_vocab", "d_model">',
      "composeProducts(onFeatures(_), onFeatures(_))",
    ],
    "tensorProduct, second operand": [
      'tensorProduct(given<"query_pos key_pos">(), _)',
      'TensorProduct<"d_vocab", "d_model">',
      'tensorProduct(given<"pos">(), _)',
    ],
    "a generic function of a user": ["takeAnyMap(_)", same, "compose(takeAnyMap(_), _)"],
    "a variable of such a type": [
      '((): Linear<"d_vocab", "d_model"> => _)()',
      same,
      '((): Linear<"d_model", "d_vocab"> => _)()',
    ],
  }),
  ...["d_model d_model", "d_model d_model*"].flatMap((of) =>
    takersOf(of, {
      [`traceOf, ${of}`]: ["traceOf(_)", "number", { of: "d_vocab d_model" }],
      [`eigenvaluesOf, ${of}`]: ["eigenvaluesOf(_)", "Eigenvalues", { of: "d_vocab d_model" }],
      [`diagonalOf, ${of}`]: ["diagonalOf(_)", 'Tensor<"d_model">', { of: "d_vocab d_model" }],
      [`diagonalTopK, ${of}`]: ["diagonalTopK(_)", "number", { of: "d_vocab d_model" }],
      [`diagonalRanks, ${of}`]: ["diagonalRanks(_)", 'Tensor<"d_model">', { of: "d_vocab d_model" }],
      [`toDense, ${of}`]: ["toDense(_)", 'Tensor<"d_model_in d_model_out">', 'toDense(_).sizeOf("d_model")'],
    }),
  ),
  ...takersOf("d_model d_model", {
    composeAll: ["composeAll([_, _])", 'Linear<"d_model", "d_model">', 'composeAll([_, mapping<"a", "a">()])'],
  }),
  ...takersOf("d_model d_model*", {
    "transpose of a form": ["transpose(_)", 'Linear<"d_model", "d_model*">', "compose(_, _)"],
  }),
];

const product = 'TensorProduct<"d_vocab", "d_model">';

export const productTakers: readonly Taker[] = takersOf("d_vocab d_model", {
  "applyProduct, second operand": [
    'applyProduct(given<"batch pos d_vocab">(), _)',
    'Tensor<"batch pos d_model">',
    'applyProduct(given<"batch pos d_model">(), _)',
  ],
  "composeProducts, first": [
    'composeProducts(_, product<"d_model", "a">())',
    'TensorProduct<"d_vocab", "a">',
    "composeProducts(_, _)",
  ],
  "composeProducts, second": [
    'composeProducts(product<"a", "d_vocab">(), _)',
    'TensorProduct<"a", "d_model">',
    'composeProducts(product<"a", "b">(), _)',
  ],
  scaleProduct: ["scaleProduct(_, 2)", product, "composeProducts(scaleProduct(_, 2), _)"],
  positionMatrixOf: ["positionMatrixOf(_)", 'Tensor<"batch query_pos key_pos">', "positionMatrixOf([_])"],
  toDenseKronecker: ["toDenseKronecker(_)", 'Tensor<"target source">', "toDenseKronecker([_])"],
  sumProducts: [
    'sumProducts([{ label: "a", product: _ }, { label: "b", product: _ }])',
    'TensorSum<"d_vocab", "d_model">',
    'sumProducts([{ label: "a", product: _ }, { label: "b", product: product<"d_model", "d_vocab">() }])',
  ],
});

export const sumTakers: readonly Taker[] = [
  ...takersOf("d_vocab d_model", {
    "applySum, second operand": [
      'applySum(given<"batch pos d_vocab">(), _)',
      'Tensor<"batch pos d_model">',
      'applySum(given<"batch pos d_model">(), _)',
    ],
    countTerms: ["countTerms([_, _])", "number", "countTerms(_)"],
  }),
  ...takersOf("d_model d_model", {
    expandSums: [
      "expandSums([_, _])",
      'ExpandedProduct<"d_model", "d_model">[]',
      'expandSums([_, productSum<"a", "a">()])',
    ],
  }),
];
