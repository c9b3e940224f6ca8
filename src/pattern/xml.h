/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A little ease around libxml2; private to the floor. */
#ifndef PATTERN_XML_H
#define PATTERN_XML_H

#include "reader.h"
#include <libxml/tree.h>

#pragma GCC visibility push(hidden)

/* Parse without network, entities or talk; EDATA with libxml2's message. */
bragg_status bragg_xml_parse(const void *bytes, size_t size, xmlDoc **doc, bragg_error *err);

/* First child element with that local name, whatever its namespace; NULL. */
xmlNode *bragg_xml_child(const xmlNode *node, const char *name);
/* The next sibling element of the same name; NULL. */
xmlNode *bragg_xml_again(const xmlNode *node);
/* First element of that name anywhere below; NULL. */
xmlNode *bragg_xml_below(xmlNode *node, const char *name);

/* True when the attribute is there and equals value. */
bool bragg_xml_is(const xmlNode *node, const char *attribute, const char *value);
/* The text of an element or of its attribute: malloc, xmlFree; NULL when absent. */
char *bragg_xml_text(const xmlNode *node);
char *bragg_xml_attribute(const xmlNode *node, const char *name);
/* The number in a child (NAN when absent or none), in the node itself, in an attribute. */
double bragg_xml_number(const xmlNode *node, const char *child);
double bragg_xml_value(const xmlNode *node);
double bragg_xml_attribute_number(const xmlNode *node, const char *name);

#pragma GCC visibility pop
#endif
