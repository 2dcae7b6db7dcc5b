// Reads LogQL expressions as a list of JSON, and prints for each what Grafana's own grammar makes of it: where it is no
// LogQL, and the labels that its selectors match.
import { readFileSync } from 'node:fs';
import { parser } from '@grafana/lezer-logql';

const judged = JSON.parse(readFileSync(0, 'utf8')).map((expr) => {
  const errors = [];
  const labels = [];
  parser.parse(expr).iterate({
    enter(node) {
      if (node.type.isError) {
        errors.push(`at ${node.from}: ${expr.slice(node.from, node.from + 20) || 'the end'}`);
      }
      if (node.name === 'Matcher') {
        const name = node.node.getChild('Identifier');
        labels.push(expr.slice(name.from, name.to));
      }
    },
  });
  return { errors, labels };
});
console.log(JSON.stringify(judged));
