// What rules and pages take from the configuration, in the form in which it stands there.
function(config) {
  local values = self,
  local digits = '0123456789',

  // Seconds of a duration as Prometheus writes it, such as 1h30m; a number stays what it is.
  local seconds(value) =
    if !std.isString(value) then value else
      local units = { x: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };
      local step(sum, char) =
        local found = std.findSubstr(char, digits);
        if found != [] then sum { number: sum.number * 10 + found[0] }
        else { total: sum.total + sum.number * units[char], number: 0 };
      std.foldl(step, std.stringChars(std.strReplace(value, 'ms', 'x')), { total: 0, number: 0 }).total,

  local given(alert, path) =
    local numbers = config.alerts[alert];
    if path == 'threshold' then numbers.threshold else numbers.parameters[path],

  // A number of PromQL.
  number(alert, path):: '%.12g' % seconds(given(alert, path)),
  // Inside a quoted text or a range of PromQL.
  text(alert, path)::
    local value = given(alert, path);
    if std.isString(value) then std.strReplace(std.strReplace(value, '\\', '\\\\'), '"', '\\"') else '%.12g' % value,
  // What the score test of a ratio compares with.
  spread(alert, path, factor)::
    local value = seconds(given(alert, path));
    local limit = factor * std.sqrt(value * (1 - value));
    // To four digits, which %.4g does not give below 1.
    local scale = if limit == 0 then 1 else std.pow(10, 3 - std.floor(std.log(limit) / std.log(10)));
    '%.12g' % (std.round(limit * scale) / scale),
  // A number of a page that follows a threshold.
  scaled(alert, path, factor):: std.round(factor * seconds(given(alert, path)) * 1e6) / 1e6,

  links:: { [name]: if config.links[name] == null then '' else config.links[name] for name in std.objectFields(config.links) },
  labels:: { cluster: config.clusterLabel, namespace: config.namespaceLabel },
  dashboards:: config.dashboards,

  local programs = ['exporter', 'alertlog'] + std.flattenArrays([
    config.programs[component]
    for component in config.componentsInOrder
    if config.components[component] && std.objectHas(config.programs, component)
  ]),
  selectors:: config.selectors {
    own_alerts: 'team=~"%s"' % std.join('|', config.teams),
    local services = if config.selectors.services == null then 'job=""' else config.selectors.services,
    targets: std.join('\nor\n', ['up{%s}' % config.selectors[program] for program in programs]),
    service_targets: std.join('\nor\n', ['up{%s}' % services] + config.adapterTargets),
  },

  // Behind PromQL of a light that is on these components.
  unlessOn(components):: if std.length([1 for component in components if config.components[component]]) > 0 then '' else config.notWatched,

  local topic(group) = std.strReplace(std.split(group.name, '.')[0], '_', '-'),
  local isOn(group) =
    local name = topic(group);
    std.get(config.components, name, true) && std.get(config.groups, name, true),
  local alert(rule) =
    local numbers = config.alerts[rule.alert];
    rule {
      'for': numbers['for'],
      labels+: { severity: numbers.severity, team: numbers.team },
      annotations: { [name]: rule.annotations[name] for name in std.objectFields(rule.annotations) if name != 'logs_url' || config.links.logs != null },
    },
  local kept(rule) = !std.objectHas(rule, 'alert') || config.alerts[rule.alert].enabled,

  // Groups that are switched on, with the alerts that are.
  groups(all):: std.filter(function(group) group.rules != [], [
    group { rules: [if std.objectHas(rule, 'alert') then alert(rule) else rule for rule in group.rules if kept(rule)] }
    for group in all
    if isOn(group)
  ]),

  // Pages that are switched on, by the names of their files.
  pages(all):: {
    [values.dashboards.uidPrefix + name + '.json']: all[name] { title: values.dashboards.titlePrefix + super.title }
    for name in std.objectFields(all)
    if std.get(config.pages, name, true) &&
       (!std.objectHas(config.pagesOf, name) || std.length([1 for component in config.pagesOf[name] if config.components[component]]) > 0)
  },
}
