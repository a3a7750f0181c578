// Writes tests/vectors/cohorts.json by OpenZeppelin's own package: `npm install @openzeppelin/merkle-tree@1.0.8`,
// then `node independent.js > cohorts.json`.
const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");

const cases = [1, 2, 3, 5, 8, 13].map((size) => {
  const subjects = Array.from({ length: size }, (_, index) => `0x${((index + 1) * 7919).toString(16).padStart(40, "0")}`);
  const tree = StandardMerkleTree.of(
    subjects.map((subject, index) => [index, subject]),
    ["uint256", "address"],
  );
  return { subjects, root: tree.root, proofs: subjects.map((_, index) => tree.getProof(index)) };
});
console.log(JSON.stringify({ source: "@openzeppelin/merkle-tree 1.0.8", cases }, null, 2));
