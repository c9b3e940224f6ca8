/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A little ease around libxml2. */
#include "config.h"
#include "xml.h"

#include <bragg/number.h>
#include <libxml/parser.h>
#include <limits.h>
#include <math.h>
#include <string.h>

bragg_status bragg_xml_parse(const void *bytes, size_t size, xmlDoc **doc, bragg_error *err)
{
    *doc = NULL;
    if (size > INT_MAX)
        return bragg_fail(err, BRAGG_EDATA, "XML of %zu bytes is too long", size);
    xmlParserCtxt *ctxt = xmlNewParserCtxt();
    if (!ctxt)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for an XML parser");
    /* HUGE lifts the 10 MB bound on one text: a long scan is one. */
    *doc = xmlCtxtReadMemory(ctxt, bytes, (int)size, NULL, NULL,
                             XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_HUGE);
    bragg_status st = BRAGG_OK;
    if (!*doc) {
        const xmlError *e = xmlCtxtGetLastError(ctxt);
        int length = e && e->message ? (int)strcspn(e->message, "\n") : 0;
        st = bragg_fail(err, BRAGG_EDATA, "line %d: expected well-formed XML: %.*s", e ? e->line : 0, length,
                        length ? e->message : "");
    }
    if (*doc && xmlGetIntSubset(*doc)) { /* some short ones in each other are more text than memory holds */
        st = bragg_fail(err, BRAGG_EDATA, "expected XML without entities of its own, found a document type");
        xmlFreeDoc(*doc);
        *doc = NULL;
    }
    xmlFreeParserCtxt(ctxt);
    return st;
}

static bool named(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && !strcmp((const char *)node->name, name);
}

static xmlNode *first_named(xmlNode *node, const char *name)
{
    while (node && !named(node, name))
        node = node->next;
    return node;
}

xmlNode *bragg_xml_child(const xmlNode *node, const char *name)
{
    return node ? first_named(node->children, name) : NULL;
}

xmlNode *bragg_xml_again(const xmlNode *node)
{
    return first_named(node->next, (const char *)node->name);
}

/* Walks the tree without recursion: depth is the file's to choose. */
xmlNode *bragg_xml_below(xmlNode *root, const char *name)
{
    xmlNode *node = root;
    while (node) {
        if (node != root && named(node, name))
            return node;
        if (node->type == XML_ELEMENT_NODE && node->children) {
            node = node->children;
            continue;
        }
        while (node != root && !node->next)
            node = node->parent;
        if (node == root)
            break;
        node = node->next;
    }
    return NULL;
}

char *bragg_xml_text(const xmlNode *node)
{
    return node ? (char *)xmlNodeGetContent(node) : NULL;
}

char *bragg_xml_attribute(const xmlNode *node, const char *name)
{
    return node ? (char *)xmlGetNoNsProp(node, (const xmlChar *)name) : NULL;
}

bool bragg_xml_is(const xmlNode *node, const char *attribute, const char *value)
{
    char *text = bragg_xml_attribute(node, attribute);
    bool same = text && !strcmp(text, value);
    xmlFree(text);
    return same;
}

static double number(char *text)
{
    double value;
    if (!text || !bragg_number_parse(text, &value))
        value = NAN;
    xmlFree(text);
    return value;
}

double bragg_xml_value(const xmlNode *node)
{
    return number(bragg_xml_text(node));
}

double bragg_xml_number(const xmlNode *node, const char *child)
{
    return number(bragg_xml_text(bragg_xml_child(node, child)));
}

double bragg_xml_attribute_number(const xmlNode *node, const char *name)
{
    return number(bragg_xml_attribute(node, name));
}
