/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the names and units in the headers of logs mean. */
#include "config.h"
#include "private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef enum dimension { TIME_D, VOLTAGE_D, CURRENT_D, CHARGE_D, ENERGY_D, POWER_D, TEMPERATURE_D, NUMBER_D } dimension;

/* Factors are exact by the SI (BIPM, SI brochure, 9th ed. 2019). */
static const struct { const char *text; dimension d; double factor, offset; } unit_table[] = {
    { "s", TIME_D, 1, 0 }, { "sec", TIME_D, 1, 0 }, { "secs", TIME_D, 1, 0 }, { "sec.", TIME_D, 1, 0 },
    { "second", TIME_D, 1, 0 }, { "seconds", TIME_D, 1, 0 }, { "ms", TIME_D, 1e-3, 0 },
    { "min", TIME_D, 60, 0 }, { "mins", TIME_D, 60, 0 }, { "minute", TIME_D, 60, 0 },
    { "minutes", TIME_D, 60, 0 }, { "h", TIME_D, 3600, 0 }, { "hr", TIME_D, 3600, 0 },
    { "hrs", TIME_D, 3600, 0 }, { "hour", TIME_D, 3600, 0 }, { "hours", TIME_D, 3600, 0 },
    { "d", TIME_D, 86400, 0 }, { "day", TIME_D, 86400, 0 }, { "days", TIME_D, 86400, 0 },
    { "V", VOLTAGE_D, 1, 0 }, { "volt", VOLTAGE_D, 1, 0 }, { "volts", VOLTAGE_D, 1, 0 },
    { "mV", VOLTAGE_D, 1e-3, 0 }, { "uV", VOLTAGE_D, 1e-6, 0 },
    { "A", CURRENT_D, 1, 0 }, { "amp", CURRENT_D, 1, 0 }, { "amps", CURRENT_D, 1, 0 },
    { "mA", CURRENT_D, 1e-3, 0 }, { "uA", CURRENT_D, 1e-6, 0 }, { "nA", CURRENT_D, 1e-9, 0 },
    { "C", CHARGE_D, 1, 0 }, { "mC", CHARGE_D, 1e-3, 0 }, { "As", CHARGE_D, 1, 0 },
    { "Ah", CHARGE_D, 3600, 0 }, { "mAh", CHARGE_D, 3.6, 0 }, { "uAh", CHARGE_D, 3.6e-3, 0 },
    { "nAh", CHARGE_D, 3.6e-6, 0 }, { "amp-hr", CHARGE_D, 3600, 0 },
    { "J", ENERGY_D, 1, 0 }, { "kJ", ENERGY_D, 1e3, 0 }, { "Wh", ENERGY_D, 3600, 0 },
    { "mWh", ENERGY_D, 3.6, 0 }, { "uWh", ENERGY_D, 3.6e-3, 0 }, { "kWh", ENERGY_D, 3.6e6, 0 },
    { "watt-hr", ENERGY_D, 3600, 0 },
    { "W", POWER_D, 1, 0 }, { "mW", POWER_D, 1e-3, 0 }, { "uW", POWER_D, 1e-6, 0 },
    { "K", TEMPERATURE_D, 1, 0 }, { "kelvin", TEMPERATURE_D, 1, 0 },
    { "C", TEMPERATURE_D, 1, 273.15 }, { "degC", TEMPERATURE_D, 1, 273.15 },
    { "deg C", TEMPERATURE_D, 1, 273.15 }, { "celsius", TEMPERATURE_D, 1, 273.15 },
    { "°C", TEMPERATURE_D, 1, 273.15 }, { "℃", TEMPERATURE_D, 1, 273.15 }, { "ºC", TEMPERATURE_D, 1, 273.15 },
    { "F", TEMPERATURE_D, 5.0 / 9, 459.67 * 5 / 9 }, { "°F", TEMPERATURE_D, 5.0 / 9, 459.67 * 5 / 9 },
    { "degF", TEMPERATURE_D, 5.0 / 9, 459.67 * 5 / 9 },
};
enum { N_UNITS = sizeof unit_table / sizeof *unit_table };

static dimension channel_dimension(bragg_channel channel)
{
    switch (channel) {
    case BRAGG_CHANNEL_TIME: case BRAGG_CHANNEL_STEP_TIME: case BRAGG_CHANNEL_WALL: return TIME_D;
    case BRAGG_CHANNEL_VOLTAGE: return VOLTAGE_D;
    case BRAGG_CHANNEL_CURRENT: return CURRENT_D;
    case BRAGG_CHANNEL_CHARGE: case BRAGG_CHANNEL_CHARGE_IN: case BRAGG_CHANNEL_CHARGE_OUT: return CHARGE_D;
    case BRAGG_CHANNEL_ENERGY_IN: case BRAGG_CHANNEL_ENERGY_OUT: return ENERGY_D;
    case BRAGG_CHANNEL_POWER: return POWER_D;
    case BRAGG_CHANNEL_TEMPERATURE: return TEMPERATURE_D;
    default: return NUMBER_D;
    }
}

/* "mA.h", "mA·h", "mA*h" are mAh; micro has two code points. */
static void plain_unit(const char *unit, char *plain, size_t room)
{
    size_t n = 0;
    for (const char *p = unit; *p && n + 1 < room;) {
        if (!strncmp(p, "µ", 2) || !strncmp(p, "μ", 2)) {
            plain[n++] = 'u';
            p += 2;
        } else if (!strncmp(p, "·", 2)) {
            p += 2;
        } else if (!strncmp(p, "⋅", 3)) {
            p += 3;
        } else if ((*p == '.' || *p == '*') && p[1]) {
            p++;
        } else if (*p == ' ' && (n == 0 || p[1] == '\0' || p[1] == ' ')) {
            p++;
        } else {
            plain[n++] = *p++;
        }
    }
    plain[n] = '\0';
}

/* Case matters only where it must: "mAh" and "MAH" are written for the same,
 * "s" and "S" as well; no unit above differs from another by case alone. */
static int find_unit(const char *unit, int d)
{
    char plain[32];
    plain_unit(unit, plain, sizeof plain);
    for (int exact = 1; exact >= 0; exact--)
        for (int i = 0; i < N_UNITS; i++)
            if ((d < 0 || (int)unit_table[i].d == d)
                && !(exact ? strcmp(unit_table[i].text, plain) : strcasecmp(unit_table[i].text, plain)))
                return i;
    return -1;
}

bool bragg_unit_known(const char *unit)
{
    return find_unit(unit, -1) >= 0;
}

bool bragg_unit_find(const char *unit, bragg_channel channel, double *factor, double *offset)
{
    int i = find_unit(unit, (int)channel_dimension(channel));
    if (i < 0)
        return false;
    *factor = unit_table[i].factor;
    *offset = unit_table[i].offset;
    return true;
}

/* Names as files have them, only letters and digits, lower case; the earlier
 * in its channel's list the better.  Seen in exports of EC-Lab, BTSDA, Arbin
 * MITS, LAND, Maccor, PEC, Digatron and home-made files. */
static const struct { bragg_channel channel; const char *names; } name_table[] = {
    { BRAGG_CHANNEL_TIME, "times timesec testtime testtimes totaltime time timesincestart elapsedtime elapsed runtime experimenttime t 测试时间 总时间 时间" },
    { BRAGG_CHANNEL_WALL, "datetime dateandtime timestamp absolutetime realtime systemtime systime dptime datestamp unixtime epoch utc localtime abstime recordtime date 系统时间 绝对时间 实时时间 日期" },
    { BRAGG_CHANNEL_STEP_TIME, "steptime relativetime reltime 步骤时间 工步时间 相对时间" },
    { BRAGG_CHANNEL_VOLTAGE, "ewe ecell ewece voltage voltagev cellvoltage potential volt volts vol u v e uv ecellv 电压" },
    { BRAGG_CHANNEL_CURRENT, "i current currenta currentma cur amps amp im currentua ima 电流" },
    { BRAGG_CHANNEL_CHARGE, "qqo qchargedischarge capacity cap charge q ampere hours amphr capacitymah specificcapacity 容量" },
    { BRAGG_CHANNEL_CHARGE_IN, "qcharge chargecapacity capacityofcharge chargecap chgcap chgcapacity capc chargeah 充电容量" },
    { BRAGG_CHANNEL_CHARGE_OUT, "qdischarge dischargecapacity capacityofdischarge dischargecap dchgcap dchgcapacity capd dischargeah 放电容量" },
    { BRAGG_CHANNEL_ENERGY_IN, "energycharge chargeenergy chgenergy energyc engyc 充电能量" },
    { BRAGG_CHANNEL_ENERGY_OUT, "energydischarge dischargeenergy dchgenergy energyd engyd 放电能量" },
    { BRAGG_CHANNEL_POWER, "p power pwe" },
    { BRAGG_CHANNEL_TEMPERATURE, "temperature temp sampletemperature sampletemp celltemperature celltemp t tc t1 temp1 temperature1 auxtemperature1 auxt1 tsample thermocouple furnacetemperature furnace pv stationtemperature 温度 辅助温度" },
    { BRAGG_CHANNEL_CYCLE, "cyclenumber cycleindex cycle cycleid cyclecount cycleno cycnum cyc 循环序号 循环号 循环" },
    { BRAGG_CHANNEL_HALF_CYCLE, "halfcycle halfcyclenumber" },
    { BRAGG_CHANNEL_STEP, "ns stepindex stepnumber step stepid stepno 工步序号 工步号 步次 步骤" },
    { BRAGG_CHANNEL_MODE, "" },
};

static void plain_name(const char *name, char *plain, size_t room)
{
    size_t n = 0;
    for (; *name && n + 1 < room; name++)
        if (isalnum((unsigned char)*name) || (unsigned char)*name >= 0x80)
            plain[n++] = (char)tolower((unsigned char)*name);
    plain[n] = '\0';
}

/* Place of word in a list of words from 1, or 0. */
static int word_place(const char *list, const char *word)
{
    size_t length = strlen(word);
    int place = 1;
    for (const char *p = list; *p; p += strspn(p, " "), place++) {
        size_t n = strcspn(p, " ");
        if (n == length && !strncmp(p, word, n))
            return place;
        p += n;
    }
    return 0;
}

bragg_channel bragg_channel_guess(const char *name, const char *unit, int *rank)
{
    char plain[64];
    bragg_channel best = BRAGG_CHANNEL_OTHER;
    double factor, offset;
    *rank = 0;
    plain_name(name, plain, sizeof plain);
    if (!strcmp(name, "mode")) {
        *rank = 1;
        return BRAGG_CHANNEL_MODE; /* EC-Lab's numbers are bragg_mode's */
    }
    if (!*plain || strchr(name, '|')) /* |Ewe| is an amplitude */
        return best;
    for (size_t i = 0; i < sizeof name_table / sizeof *name_table; i++) {
        bragg_channel c = name_table[i].channel;
        int place = word_place(name_table[i].names, plain);
        bool fits = !*unit || c == BRAGG_CHANNEL_WALL || bragg_unit_find(unit, c, &factor, &offset)
                    || (channel_dimension(c) == TIME_D && strstr(unit, "hh"));
        if (channel_dimension(c) == NUMBER_D && *unit)
            fits = false;
        if (place && fits && 1000 - place > *rank) {
            *rank = 1000 - place;
            best = c;
        }
    }
    return best;
}

static char *copy_trimmed(const char *text, size_t n)
{
    while (n && (*text == ' ' || *text == '\t'))
        text++, n--;
    while (n && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    return strndup(text, n);
}

/* Where the unit starts and ends: brackets, then "/unit", then "_unit". */
static bool find_unit_text(const char *h, size_t *name_end, size_t *start, size_t *end)
{
    size_t n = strlen(h);
    const char *open = NULL, *slash = strrchr(h, '/');
    if (n && (h[n - 1] == ')' || h[n - 1] == ']' || h[n - 1] == '}'))
        open = strrchr(h, h[n - 1] == ')' ? '(' : h[n - 1] == ']' ? '[' : '{');
    /* "(Q-Qo)" alone is a name */
    if (open && open > h) {
        *name_end = (size_t)(open - h);
        *start = *name_end + 1;
        *end = n - 1;
        return true;
    }
    const char *mark = slash ? slash : strrchr(h, '_');
    if (!mark || mark == h || !mark[1])
        return false;
    if (!slash && !bragg_unit_known(mark + 1))
        return false;
    if (slash && !bragg_unit_known(mark + 1) && strpbrk(mark + 1, " (") && mark[1] != ' ')
        return false;
    *name_end = (size_t)(mark - h);
    *start = *name_end + 1;
    *end = n;
    return true;
}

bool bragg_header_split(const char *header, char **name, char **unit)
{
    char *clean = copy_trimmed(header, strlen(header));
    if (!clean)
        return false;
    size_t length = strlen(clean), name_end = length, start = length, end = length;
    /* EC-Lab: one column whose unit depends on the mode, and two names with a
     * slash of their own. */
    if (!strcmp(clean, "control/V/mA"))
        name_end = 7, start = 8;
    else if (strcmp(clean, "ox/red") && strcmp(clean, "dV/dt") && strcmp(clean, "dQ/dV") && !(length > 10 && !strcmp(clean + length - 10, "/discharge")))
        find_unit_text(clean, &name_end, &start, &end);
    /* EC-Lab 11.50 writes the mean voltage "<Ewe/V>" */
    bool mean = *clean == '<' && length > 3 && clean[length - 1] == '>' && start < length;
    if (mean) {
        end--;
        clean[name_end++] = '>';
    }
    *unit = copy_trimmed(clean + start, end - start);
    *name = copy_trimmed(clean, name_end);
    free(clean);
    return *name && *unit;
}

static const char *const channel_names[BRAGG_CHANNELS] = { "other", "time", "wall", "step_time", "voltage",
    "current", "charge", "charge_in", "charge_out", "energy_in", "energy_out", "power", "temperature", "cycle",
    "half_cycle", "step", "mode" };

bool bragg_channel_parse(const char *name, bragg_channel *channel)
{
    for (int i = 0; i < BRAGG_CHANNELS; i++)
        if (!strcasecmp(name, channel_names[i]) || (i == BRAGG_CHANNEL_CHARGE && !strcasecmp(name, "capacity"))) {
            *channel = (bragg_channel)i;
            return true;
        }
    return false;
}

const char *bragg_channel_name(bragg_channel channel)
{
    return (int)channel >= 0 && channel < BRAGG_CHANNELS ? channel_names[channel] : "unknown";
}
